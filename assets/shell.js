// Clientside callbacks of the shell. Other files add theirs to the same namespace in the same way, with Object.assign.
(function () {
    "use strict";

    const TYPING_MS = 800;
    let writtenAt = 0;
    let isAhead = false; // the address bar holds a query that Dash's own Location does not know

    // Writes a page's state into the address bar without laying the page out again. `href` is a link of urls.py; it is
    // dropped when the visitor has left that page. Quick changes (typing, dragging) share one history entry.
    function writeUrl(href) {
        const none = window.dash_clientside.no_update;
        if (typeof href !== "string") {
            return none;
        }
        const wanted = new URL(href, window.location.origin);
        const isHere = decodeURIComponent(wanted.pathname) === decodeURIComponent(window.location.pathname);
        if (!isHere || wanted.search === window.location.search) {
            return none;
        }
        const method = Date.now() - writtenAt < TYPING_MS ? "replaceState" : "pushState";
        writtenAt = Date.now();
        isAhead = true;
        window.history[method](null, "", href);
        return href;
    }

    // Back and forward between such entries: Dash's Location may hold the same (stale) query and stay silent, so tell it.
    window.addEventListener("popstate", function () {
        if (isAhead) {
            window.dash_clientside.set_props("_pages_location", {
                pathname: window.location.pathname,
                search: window.location.search,
            });
        }
    });

    function rememberAuthor(name) {
        const year = 365 * 24 * 3600;
        document.cookie =
            "loupe_author=" + encodeURIComponent((name || "").trim()) + "; path=/; max-age=" + year + "; SameSite=Strict";
        return "Signs the labels that you save from this browser";
    }

    const root = (window.dash_clientside = window.dash_clientside || {});
    root.loupe = Object.assign(root.loupe || {}, {rememberAuthor: rememberAuthor, writeUrl: writeUrl});
})();
