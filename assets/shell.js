// Clientside callbacks of the shell. Other files add theirs to the same namespace in the same way, with Object.assign.
(function () {
    "use strict";

    const TYPING_MS = 800;
    let writtenAt = 0;
    let isAhead = false; // the address bar holds a query that Dash's own Location does not know
    let known = window.location.pathname + window.location.search; // what Dash's Location does know

    // Writes a page's state into the address bar without laying the page out again. `href` is a link of urls.py; it is
    // dropped when the visitor has left that page. Quick changes (typing, dragging) share one history entry.
    function writeUrl(href) {
        const none = window.dash_clientside.no_update;
        if (typeof href !== "string") {
            return none;
        }
        const wanted = window.loupe.keepPresenting(new URL(href, window.location.origin));
        const isHere = decodeURIComponent(wanted.pathname) === decodeURIComponent(window.location.pathname);
        const isSame = wanted.searchParams.toString() === new URLSearchParams(window.location.search).toString();
        if (!isHere || isSame) {
            return none;
        }
        const method = Date.now() - writtenAt < TYPING_MS ? "replaceState" : "pushState";
        writtenAt = Date.now();
        isAhead = true;
        window.history[method](null, "", wanted.pathname + wanted.search);
        return href;
    }

    // A step back (or a link) to another view of the same page. Where the page can restore a view by itself
    // (window.loupe.restore, path prefix -> function of the query), Dash does not hear of it. Otherwise Dash lays the page
    // out again, and is told to where the address is the very one that its Location still holds.
    function follow(event) {
        const here = window.location.pathname + window.location.search;
        const restore = window.loupe.restore || {};
        const prefix = Object.keys(restore).find((start) => window.location.pathname.startsWith(start));
        if (prefix && window.location.pathname === known.split("?")[0] && restore[prefix](window.location.search)) {
            event.stopImmediatePropagation();
            isAhead = here !== known;
            return;
        }
        if (isAhead && here === known) {
            const place = {pathname: window.location.pathname, search: window.location.search};
            window.dash_clientside.set_props("_pages_location", place);
        }
        known = here;
        isAhead = false;
    }
    window.addEventListener("popstate", follow);
    window.addEventListener("_dashprivate_pushstate", follow);

    // Opens a link of the site without loading it anew, as dcc.Link does.
    function go(href) {
        window.history.pushState({}, "", href);
        window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
        window.scrollTo(0, 0);
    }

    function rememberAuthor(name) {
        const year = 365 * 24 * 3600;
        document.cookie =
            "loupe_author=" + encodeURIComponent((name || "").trim()) + "; path=/; max-age=" + year + "; SameSite=Strict";
        return "Signs the labels that you save from this browser";
    }

    window.loupe = Object.assign(window.loupe || {}, {go: go});
    const root = (window.dash_clientside = window.dash_clientside || {});
    root.loupe = Object.assign(root.loupe || {}, {rememberAuthor: rememberAuthor, writeUrl: writeUrl});
})();
