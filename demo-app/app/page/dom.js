// Elements and texts. What comes from outside is text and never markup: nothing here parses any.

const SVG = "http://www.w3.org/2000/svg";

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export function svg(name, attributes = {}) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** A text that may run from right to left, kept from turning the sentence around it. */
export function isolated(text, className = "") {
  return element("bdi", { textContent: text, className });
}

export function shortened(text, length) {
  const characters = [...text.slice(0, 2 * length + 2)];
  return characters.length > length ? `${characters.slice(0, length).join("")}…` : text;
}

export const number = new Intl.NumberFormat("en");

export function counted(count, one, many = `${one}s`) {
  return `${number.format(count)} ${count === 1 ? one : many}`;
}

export function prepend(list, item, most) {
  list.prepend(item);
  while (list.children.length > most) list.lastElementChild.remove();
}

export function clock(date = new Date()) {
  const text = date.toLocaleTimeString("en-GB");
  return element("time", { dateTime: text, textContent: text });
}
