"use strict";
// Without this script the page shows the last epoch and one scale; the controls, of no use then, stay hidden.
(() => {
  const root = document.documentElement;
  const all = (selector) => document.querySelectorAll(selector);
  all(".controls[hidden], #theme[hidden]").forEach((element) => { element.hidden = false; });

  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const tell = () => button.setAttribute("aria-pressed", String(dark()));
  button.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; tell(); });
  system.addEventListener("change", tell);
  tell();

  const choose = (name, value) => all(`[data-case^="${name}:"]`).forEach((element) => {
    element.hidden = element.dataset.case !== `${name}:${value}`;
  });
  all("[data-switch]").forEach((group) => group.addEventListener("change", (event) => {
    choose(group.dataset.switch, event.target.value);
  }));

  const show = (slider) => all(`[data-of="${slider.dataset.slider}"]`).forEach((element) => {
    const frames = element.dataset.frames.split("|");
    const frame = frames[Math.min(slider.value, frames.length - 1)];
    if (element instanceof SVGPathElement) element.setAttribute("d", frame);
    else element.textContent = frame;
    if (element instanceof HTMLOutputElement) slider.setAttribute("aria-valuetext", frame);
  });
  all("[data-slider]").forEach((slider) => slider.addEventListener("input", () => show(slider)));

  // A browser that goes back to the page keeps what was chosen: show that.
  all("[data-switch] input:checked").forEach((input) => choose(input.closest("[data-switch]").dataset.switch, input.value));
  all("[data-slider]").forEach(show);
})();
