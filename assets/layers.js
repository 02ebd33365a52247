// Cells of the Layers page's table: a feature's number as a link, its label or its strongest tokens.
(function () {
    "use strict";

    const cells = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});

    cells.MatchedFeature = function (props) {
        const make = window.React.createElement;
        const found = props.data ? props.data[props.side + "_shown"] : null;
        if (!found) {
            return make("span", {className: "muted"}, "none");
        }
        const link = {href: found.href, className: "feature-link num", tabIndex: -1, title: "Open the feature"};
        const parts = [make("a", Object.assign({key: "id"}, link), "#" + props.value)];
        if (found.name) {
            parts.push(make("span", {key: "name", className: "layers-name"}, found.name));
        } else {
            found.tokens.forEach((token, i) => parts.push(make("span", {key: i, className: "chip"}, token)));
        }
        return make("span", {className: props.data.is_linked ? "layers-cell" : "layers-cell is-apart-" + props.side}, parts);
    };
})();
