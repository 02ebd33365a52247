// The Feature page's clientside part: plain sortable tables, following a match to another layer.
(function () {
    "use strict";

    function feature(cell) {
        const {make, visible} = window.loupe;
        const link = make("a", "feature-link");
        link.href = cell.href;
        link.append(make("span", "feature-link-id num", "#" + cell.id));
        if (cell.name) {
            link.append(make("span", "feature-link-name", cell.name));
        } else {
            cell.tokens.forEach((token) => link.append(make("span", "chip", visible(token))));
        }
        return link;
    }

    function drawCell(cell, kind) {
        const {make, visible} = window.loupe;
        const td = make("td", kind === "number" ? "num" : kind);
        if (kind === "feature") {
            td.append(feature(cell));
        } else if (kind === "token") {
            td.append(...cell.map((token) => make("span", "token-name", visible(token))));
        } else if (Array.isArray(cell)) {
            td.textContent = cell[1];
        } else if (typeof cell === "object") {
            td.append(kind === "flag" ? make("span", "badge badge-warning", cell.text) : cell.text);
            td.title = cell.title;
        } else {
            td.textContent = cell;
        }
        return td;
    }

    function valueOf(cell) {
        const value = Array.isArray(cell) ? cell[0] : cell.value;
        return value === null || value === undefined ? -Infinity : value;
    }

    function drawHead(data, state, redraw) {
        const {make} = window.loupe;
        const row = make("tr");
        data.columns.forEach(function (column, i) {
            const th = make("th", column.kind === "number" ? "num" : column.kind);
            th.scope = "col";
            th.title = column.help;
            if (column.kind === "number") {
                const button = make("button", "sort", column.title);
                button.type = "button";
                button.addEventListener("click", function () {
                    state.up = state.column === i ? !state.up : false;
                    state.column = i;
                    redraw();
                    document.querySelector("#" + CSS.escape(state.id) + " th:nth-child(" + (i + 1) + ") button").focus();
                });
                if (state.column === i) {
                    th.setAttribute("aria-sort", state.up ? "ascending" : "descending");
                }
                th.append(button);
            } else if (column.title) {
                th.textContent = column.title;
            } else {
                th.append(make("span", "visually-hidden", column.help)); // a column without a title is known by its help
            }
            row.append(th);
        });
        const head = make("thead");
        head.append(row);
        return head;
    }

    function drawTable(element, data) {
        const {make} = window.loupe;
        if (!data.rows.length) {
            element.replaceChildren(make("p", "panel-words", data.empty));
            return;
        }
        const state = {column: data.sorted, up: false, id: element.id};
        function redraw() {
            const sign = state.up ? 1 : -1;
            const rows = data.rows.slice();
            if (state.column !== null) {
                rows.sort((a, b) => sign * (valueOf(a[state.column]) - valueOf(b[state.column])) || 0);
            }
            const body = make("tbody");
            rows.forEach(function (cells) {
                const row = make("tr");
                row.append(...cells.map((cell, i) => drawCell(cell, data.columns[i].kind)));
                body.append(row);
            });
            const table = make("table", "data-table");
            table.append(drawHead(data, state, redraw), body);
            element.replaceChildren(table);
        }
        redraw();
    }

    function table(data, id) {
        if (!data) {
            return window.dash_clientside.no_update;
        }
        window.loupe.whenThere(id, (element) => drawTable(element, data), 60);
        return String(data.rows.length);
    }

    // Links inside of tables change the page as Dash's own links do, without loading the site again.
    function goTo(href, method) {
        window.history[method](null, "", href);
        window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
        window.scrollTo(0, 0);
    }

    document.addEventListener("click", function (event) {
        const link = event.target.closest ? event.target.closest("a.feature-link") : null;
        if (link && event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey) {
            event.preventDefault();
            goTo(link.getAttribute("href"), "pushState");
        }
    });

    // A choice made with the mouse keeps no focus, so that j, k, r and e go on working.
    document.addEventListener("click", function (event) {
        const label = event.target.closest ? event.target.closest(".feature-page .segmented label") : null;
        if (label && event.detail > 0) {
            window.setTimeout(() => document.activeElement.blur(), 0);
        }
    });

    // The address asked for the match of another layer's feature: go there, leaving no entry in the history.
    function follow(href) {
        if (href) {
            window.setTimeout(() => goTo(href, "replaceState"), 0);
        }
        return window.dash_clientside.no_update;
    }

    const root = (window.dash_clientside = window.dash_clientside || {});
    root.feature = Object.assign(root.feature || {}, {
        follow: follow,
        table: table,
    });
})();
