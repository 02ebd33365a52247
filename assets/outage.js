// A callback that the server cannot answer now says so in the message bar. A table waits for the rows that it asked for and
// asks for no others meanwhile, so those are asked for again until they come; nothing else is sent twice.
(function () {
    "use strict";

    const CALLBACKS = "/_dash-update-component";
    const ROWS = '"property":"getRowsRequest"';
    const LOST = "The server cannot be reached: the table is filled as soon as it is back.";
    const PAUSE_S = 2;
    const send = window.fetch.bind(window);

    async function say(response) {
        const said = response ? await response.clone().json().catch(() => ({})) : {};
        window.dash_clientside.set_props("shell-message", {children: said.error || LOST, is_open: true});
    }

    function pause(response) {
        const seconds = Number(response && response.headers.get("Retry-After")) || PAUSE_S;
        return new Promise((goOn) => setTimeout(goOn, 1000 * seconds));
    }

    async function untilThere(address, options) {
        const page = window.location.pathname;
        for (;;) {
            const response = await send(address, options).catch(() => null);
            if (response && response.status !== 503) {
                return response;
            }
            await say(response);
            await pause(response);
            if (window.location.pathname !== page) {
                return response || Response.error();
            }
        }
    }

    window.fetch = async function (address, options) {
        const asked = new URL(typeof address === "string" ? address : address.url || String(address), window.location.href);
        if (asked.pathname !== CALLBACKS) {
            return send(address, options);
        }
        if (options && typeof options.body === "string" && options.body.includes(ROWS)) {
            return untilThere(address, options);
        }
        const response = await send(address, options);
        if (response.status === 503) {
            await say(response);
        }
        return response;
    };
})();
