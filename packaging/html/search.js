// SPDX-License-Identifier: MIT OR Apache-2.0
// The search of every page: over INDEX, which search-index.js has.
"use strict";

const input = document.querySelector(".search input");
const list = document.querySelector(".search ol");

// How well an entry fits all words; 0 for not at all.
function score(entry, words) {
    const title = entry.t.toLowerCase();
    const about = (entry.a || "").toLowerCase();
    let total = 0;
    for (const word of words) {
        const at = title.indexOf(word);
        if (title === word)
            total += 100;
        else if (at === 0 || (at > 0 && /[\W_]/.test(title[at - 1])))
            total += 20;
        else if (at > 0)
            total += 8;
        else if (about.includes(word))
            total += 3;
        else
            return 0;
    }
    const kinds = { function: 6, guide: 5, command: 4, structure: 3 };
    return total + (kinds[entry.k] || 0) - title.length / 100;
}

function search() {
    const words = input.value.toLowerCase().split(/[\s()]+/).filter(Boolean);
    const hits = words.length === 0 ? [] : INDEX
        .map((entry) => ({ entry, score: score(entry, words) }))
        .filter((hit) => hit.score > 0)
        .sort((a, b) => b.score - a.score)
        .slice(0, 14);
    list.replaceChildren(...hits.map(({ entry }) => {
        const item = document.createElement("li");
        const link = document.createElement("a");
        link.href = entry.l;
        const title = document.createElement("b");
        title.textContent = entry.t;
        const kind = document.createElement("i");
        kind.textContent = entry.k;
        const about = document.createElement("span");
        about.textContent = entry.a || "";
        link.append(title, kind, about);
        item.append(link);
        return item;
    }));
    if (words.length > 0 && hits.length === 0) {
        const item = document.createElement("li");
        item.textContent = "Nothing is called so.";
        list.append(item);
    }
    list.hidden = words.length === 0;
}

input.addEventListener("input", search);
document.addEventListener("keydown", (event) => {
    const links = [...list.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    if (event.key === "/" && document.activeElement !== input) {
        event.preventDefault();
        input.focus();
    } else if (event.key === "Escape") {
        list.hidden = true;
    } else if (event.key === "Enter" && document.activeElement === input) {
        if (links.length > 0)
            links[0].click();
    } else if (event.key === "ArrowDown" && links.length > 0 && !list.hidden) {
        event.preventDefault();
        links[Math.min(at + 1, links.length - 1)].focus();
    } else if (event.key === "ArrowUp" && at >= 0) {
        event.preventDefault();
        (at === 0 ? input : links[at - 1]).focus();
    }
});
document.addEventListener("click", (event) => {
    if (!event.target.closest(".search"))
        list.hidden = true;
});
// The page is of use without the script, and the field is not.
document.querySelector(".search").classList.add("on");
const asked = new URLSearchParams(location.search).get("q");
if (asked) {
    input.value = asked;
    search();
}
