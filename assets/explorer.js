// The Explorer in the browser: one filter model holds the column filters, the quick search and the map's area, so that
// every one of them is a change of that model and the grid asks the server for its rows anew.
(function () {
    "use strict";

    const GRID = "explorer-grid";

    function textFilter(words) {
        return {filterType: "text", type: "contains", filter: words};
    }

    function table() {
        try {
            return window.dash_ag_grid.getApi(GRID);
        } catch (error) {
            return null; // dash-ag-grid throws while there is no such table
        }
    }

    function filter(words, selected) {
        const none = window.dash_clientside.no_update;
        const cause = window.dash_clientside.callback_context.triggered.map((item) => item.prop_id);
        const grid = table();
        if (!grid) {
            return none;
        }
        const known = grid.getFilterModel();
        if (cause.includes("explorer-clear.n_clicks")) {
            grid.setFilterModel(null);
            return "";
        }
        const model = Object.assign({}, known);
        if (cause.includes("explorer-q.value")) {
            const text = (words || "").trim();
            delete model.search;
            if (text) {
                model.search = textFilter(text);
            }
        }
        if (cause.includes("explorer-map.selectedData")) {
            if (selected === null) {
                delete model.box;
            } else if (selected && selected.range) {
                // without a range it is only the drawn area, reported again
                const ends = selected.range.x.concat(selected.range.y);
                model.box = textFilter(ends.map((end) => Number(end.toPrecision(5))).join(","));
            }
        }
        if (JSON.stringify(model) !== JSON.stringify(known)) {
            grid.setFilterModel(model);
        }
        return none;
    }

    function refresh() {
        const grid = table();
        if (grid) {
            grid.refreshInfiniteCache();
        }
        return window.dash_clientside.no_update;
    }

    // Shows the view that a query describes in the table that is there; false when there is none.
    function restore(query) {
        const grid = table();
        if (!grid) {
            return false;
        }
        const given = new URLSearchParams(query);
        const model = given.get("filter") ? JSON.parse(given.get("filter")) : {};
        if (given.get("q")) {
            model.search = textFilter(given.get("q"));
        }
        if (given.get("box")) {
            model.box = textFilter(given.get("box"));
        }
        const sort = (given.get("sort") || "").split(",").filter(Boolean);
        const state = sort.map((part, i) => ({colId: part.split(":")[0], sort: part.split(":")[1], sortIndex: i}));
        grid.applyColumnState({state: state, defaultState: {sort: null}});
        grid.setFilterModel(model);
        window.dash_clientside.set_props("explorer-q", {value: given.get("q") || ""});
        return true;
    }

    // Enter on a row opens its feature, e edits its label.
    document.addEventListener("keydown", function (event) {
        const row = event.target.closest && event.target.closest(".explorer-grid .ag-cell") ? event.target.closest(".ag-row") : null;
        if (!row || (event.key !== "Enter" && event.key !== "e") || event.ctrlKey || event.metaKey || event.target.tagName === "INPUT") {
            return;
        }
        const place = '.explorer-grid .ag-row[row-index="' + row.getAttribute("row-index") + '"] ';
        const found = document.querySelector(place + (event.key === "e" ? "[data-edit-label]" : "a.explorer-open"));
        if (found && event.key === "e") {
            event.preventDefault();
            found.click();
        } else if (found) {
            window.loupe.go(found.getAttribute("href"));
        }
    });

    const root = (window.dash_clientside = window.dash_clientside || {});
    root.explorer = Object.assign(root.explorer || {}, {filter: filter, refresh: refresh});
    window.loupe = window.loupe || {};
    window.loupe.restore = Object.assign(window.loupe.restore || {}, {"/explorer/": restore});
})();
