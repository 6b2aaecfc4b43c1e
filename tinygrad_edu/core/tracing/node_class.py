"""The class of the classes Tensor and Value. It stands alone, so that `Value` is imported without NumPy."""


class NodeClass(type):
    """The class of Tensor and Value; while the user's function runs on nodes, it answers `isinstance(x, Tensor)`."""
