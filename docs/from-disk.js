// A page opened from the disk has no search (browsers allow none): wide.css takes its button away.
if (location.protocol === "file:") document.documentElement.classList.add("from-disk");
