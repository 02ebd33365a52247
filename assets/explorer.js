// The Explorer in the browser: one filter model holds the column filters, the quick search and the map's area, so that
// every one of them is a change of that model and the grid asks the server for its rows anew.
(function () {
    "use strict";

    const GRID = "explorer-grid";

    function textFilter(words) {
        return {filterType: "text", type: "contains", filter: words};
    }

    function filter(words, selected, clicks, known) {
        const none = window.dash_clientside.no_update;
        const cause = window.dash_clientside.callback_context.triggered.map((item) => item.prop_id);
        const model = Object.assign({}, known || {});
        if (cause.includes("explorer-clear.n_clicks")) {
            return [{}, ""];
        }
        if (cause.includes("explorer-q.value")) {
            const text = (words || "").trim();
            delete model.search;
            if (text) {
                model.search = textFilter(text);
            }
        }
        if (cause.includes("explorer-map.selectedData")) {
            delete model.box;
            if (selected && selected.range) {
                const ends = selected.range.x.concat(selected.range.y);
                model.box = textFilter(ends.map((end) => Number(end.toPrecision(5))).join(","));
            }
        }
        return JSON.stringify(model) === JSON.stringify(known || {}) ? [none, none] : [model, none];
    }

    function refresh() {
        window.dash_ag_grid.getApi(GRID).refreshInfiniteCache();
        return window.dash_clientside.no_update;
    }

    // Enter on a row opens its feature.
    document.addEventListener("keydown", function (event) {
        if (event.key !== "Enter" || !event.target.closest || !event.target.closest("#" + GRID + " .ag-cell")) {
            return;
        }
        const row = event.target.closest(".ag-row");
        const link = document.querySelector("#" + GRID + ' .ag-row[row-index="' + row.getAttribute("row-index") + '"] a.feature-link');
        if (link) {
            window.loupe.go(link.getAttribute("href"));
        }
    });

    const root = (window.dash_clientside = window.dash_clientside || {});
    root.explorer = Object.assign(root.explorer || {}, {filter: filter, refresh: refresh});
})();
