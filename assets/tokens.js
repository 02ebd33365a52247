// Draws examples: exact source text, the activation of every token as amber heat, a tooltip with token, value and
// position. Text only ever enters the page as text nodes, so nothing in a token can run.
(function () {
    "use strict";

    const LINES = 2; // of a snippet, so that five examples fit their panel
    const WIDTH = 88; // characters that fit a line of it
    const VISIBLE = {" ": "␣", "\n": "⏎", "\t": "⇥", "\r": "␍"};
    let tip = null;

    function make(tag, className, text) {
        const element = document.createElement(tag);
        if (className) {
            element.className = className;
        }
        if (text !== undefined) {
            element.textContent = text;
        }
        return element;
    }

    function visible(text) {
        return text.replace(/[ \n\t\r]/g, (character) => VISIBLE[character]);
    }

    // Three significant digits, as dashboard/components/numbers.py writes them.
    function figures(value) {
        if (value === 0) {
            return "0";
        }
        const size = Math.floor(Math.log10(Math.abs(Number(value.toPrecision(3)))));
        if (size < -4 || size >= 7) {
            return value.toExponential(2).replace(/-/g, "−");
        }
        const digits = Math.max(0, 2 - size);
        return Number(value.toPrecision(3))
            .toLocaleString("en", {minimumFractionDigits: digits, maximumFractionDigits: digits})
            .replace("-", "−");
    }

    // Lines that a text takes at the usual width of a panel; white space at its end takes none.
    function lines(text) {
        return text.trimEnd().split("\n").reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / WIDTH)), 0);
    }

    // First and last (exclusive) token of the part to show around the example's own token.
    function extent(example, whole) {
        const pieces = example.pieces;
        if (whole) {
            return [0, pieces.length];
        }
        let first = example.position;
        let last = example.position + 1;
        const fits = (from, to) => lines(pieces.slice(from, to).join("")) <= LINES;
        let canLeft = true;
        let canRight = true;
        while (canLeft || canRight) {
            canLeft = canLeft && first > 0 && fits(first - 1, last);
            canRight = canRight && last < pieces.length && fits(first, last + 1);
            const isShorter = example.position - first <= last - 1 - example.position;
            if (canLeft && (isShorter || !canRight)) {
                first -= 1;
            } else if (canRight) {
                last += 1;
            }
        }
        return [first, last];
    }

    function text(example, ceiling, whole) {
        const body = make("div", "example-text token-text");
        const [first, last] = extent(example, whole);
        const value = new Map(example.active.map((position, i) => [position, example.values[i]]));
        if (example.pieces.slice(0, first).some((piece) => piece !== "")) {
            body.append(make("span", "example-cut", "… "));
        }
        for (let position = first; position < last; position += 1) {
            const piece = example.pieces[position];
            if (piece === "") {
                continue; // special tokens have no text and no activation
            }
            const word = piece.trimEnd() || piece;
            const token = make("span", "token", word);
            token.dataset.position = position;
            token.dataset.value = value.get(position) || 0;
            if (value.has(position)) {
                const share = Math.min(1, value.get(position) / ceiling);
                token.classList.add("is-active");
                token.style.setProperty("--a", (0.12 + 0.88 * share).toFixed(3));
            }
            if (position === example.position) {
                token.classList.add("is-peak");
                token.tabIndex = 0;
            }
            body.append(token);
            const isEnd = position === last - 1;
            if (!isEnd || whole) {
                body.append(document.createTextNode(piece.slice(word.length)));
            }
        }
        if (last < example.pieces.length && example.pieces.slice(last).some((piece) => piece !== "")) {
            body.append(make("span", "example-cut", " …"));
        }
        return body;
    }

    function draw(example, ceiling, whole) {
        const row = make("li", "example");
        const head = make("div", "example-head");
        head.append(make("span", "example-value num", figures(example.value)));
        const where = make("span", "example-meta");
        example.metadata.forEach(([key, content]) => {
            const isBareNumber = /^-?[\d.]+$/.test(content);
            const part = make("span", "example-field", isBareNumber ? key + " " + content : content);
            part.title = key;
            where.append(part);
        });
        head.append(where);
        const numbers = "context " + example.context.toLocaleString("en") + ", position " + example.position;
        head.append(make("span", "example-where num", numbers));
        row.append(head, text(example, ceiling, whole));
        return row;
    }

    // The element may reach the document a moment after its data.
    function whenThere(id, action, tries) {
        const element = document.getElementById(id);
        if (element) {
            action(element);
        } else if (tries > 0) {
            window.requestAnimationFrame(() => whenThere(id, action, tries - 1));
        }
    }

    function show(data, mode, id) {
        if (!data) {
            return window.dash_clientside.no_update;
        }
        whenThere(
            id,
            function (element) {
                hide();
                if (!data.items.length) {
                    element.replaceChildren(make("p", "panel-words", data.empty));
                    return;
                }
                const list = make("ol", "examples");
                list.append(...data.items.map((example) => draw(example, data.max || 1, mode === "whole")));
                element.replaceChildren(list);
            },
            60
        );
        return String(data.items.length);
    }

    function tell(token) {
        if (tip === null) {
            tip = make("div", "token-tip");
            tip.id = "token-tip";
            tip.setAttribute("role", "tooltip");
        }
        const value = Number(token.dataset.value);
        const words = value > 0 ? "activation " + figures(value) : "does not fire";
        const name = make("span", "token-tip-name", visible(token.textContent));
        tip.replaceChildren(name, make("span", "num", words), make("span", "num", "position " + token.dataset.position));
        document.body.append(tip);
        token.setAttribute("aria-describedby", tip.id);
        const box = token.getClientRects()[0];
        const left = Math.min(box.left, window.innerWidth - tip.offsetWidth - 8);
        const above = box.top - tip.offsetHeight - 6;
        tip.style.left = Math.max(8, left) + "px";
        tip.style.top = (above > 4 ? above : box.bottom + 6) + "px";
    }

    function hide() {
        if (tip !== null && tip.isConnected) {
            document.querySelectorAll('[aria-describedby="token-tip"]').forEach(function (token) {
                token.removeAttribute("aria-describedby");
            });
            tip.remove();
        }
    }

    function tokenOf(event) {
        return event.target.closest ? event.target.closest(".example-text .token") : null;
    }

    function follow(event) {
        const token = tokenOf(event);
        if (token) {
            tell(token);
        } else {
            hide();
        }
    }

    // Arrow keys walk over the tokens of an example; Tab goes to the next example.
    function walk(event) {
        const token = tokenOf(event);
        if (event.key === "Escape") {
            hide();
        }
        if (!token || (event.key !== "ArrowLeft" && event.key !== "ArrowRight")) {
            return;
        }
        const all = Array.from(token.parentElement.querySelectorAll(".token"));
        const next = all[all.indexOf(token) + (event.key === "ArrowRight" ? 1 : -1)];
        if (next) {
            event.preventDefault();
            token.tabIndex = -1;
            next.tabIndex = 0;
            next.focus();
        }
    }

    document.addEventListener("mouseover", follow);
    document.addEventListener("focusin", follow);
    document.addEventListener("focusout", hide);
    document.addEventListener("scroll", hide, {capture: true, passive: true});
    document.addEventListener("keydown", walk);

    const root = (window.dash_clientside = window.dash_clientside || {});
    root.tokens = Object.assign(root.tokens || {}, {show: show});
    window.loupe = Object.assign(window.loupe || {}, {make: make, visible: visible, whenThere: whenThere});
})();
