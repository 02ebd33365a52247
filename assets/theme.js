// Light and dark: the button and the `t` key switch, the choice stays in this browser. The first paint is set by the
// page's inline script; here only changes are made.
(function () {
    "use strict";

    function apply(theme) {
        document.documentElement.setAttribute("data-bs-theme", theme);
    }

    function toggle() {
        const next = document.documentElement.getAttribute("data-bs-theme") === "dark" ? "light" : "dark";
        apply(next);
        try {
            localStorage.setItem("loupe-theme", next);
        } catch (error) {
            // private windows may refuse storage; the choice then lasts until the page is closed
        }
    }

    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", function (event) {
        let chosen = null;
        try {
            chosen = localStorage.getItem("loupe-theme");
        } catch (error) {
            chosen = null;
        }
        if (chosen === null) {
            apply(event.matches ? "dark" : "light");
        }
    });

    document.addEventListener("click", function (event) {
        if (event.target.closest && event.target.closest('[data-action="theme"]')) {
            toggle();
        }
    });

    window.loupe = Object.assign(window.loupe || {}, {toggleTheme: toggle});
})();
