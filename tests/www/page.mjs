// The demo page as somebody uses it: what the tests do again and again, and what must hold all the time.

import assert from "node:assert/strict";

/** Roles of what somebody can use or has to be told of. */
const NAMED = new Set([
  "button",
  "link",
  "textbox",
  "combobox",
  "checkbox",
  "listbox",
  "option",
  "img",
  "dialog",
  "toolbar",
  "navigation",
  "region",
  "complementary",
  "image",
]);

// What the pages that are open have complained about: why a test failed may be told nowhere else.
const open = new Map();

/** Closes what a failed test has left open; returns what was complained about there. */
export async function closeAll() {
  const told = [...open.values()].flat();
  for (const context of open.keys()) await context.close().catch(() => {});
  open.clear();
  return told;
}

/** Opens the page in a profile of its own. Nothing may be complained about until `close`. */
export async function visit(
  chrome,
  address,
  { hash = "", width = 1280, height = 860, scheme = "light", setUp } = {},
) {
  const context = await chrome.newContext({
    viewport: { width, height },
    colorScheme: scheme,
    acceptDownloads: true,
  });
  const page = await context.newPage();
  const complaints = [];
  open.set(context, complaints);
  page.on("crash", () => complaints.push("the page has crashed"));
  page.on("pageerror", (error) => complaints.push(error.stack));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type()))
      complaints.push(`${message.type()}: ${message.text()}`);
  });
  await setUp?.(page, context);
  await page.goto(`${address}/${hash}`);
  await ready(page);
  const close = async ({ allowed = [] } = {}) => {
    await context.close();
    open.delete(context);
    assert.deepEqual(
      complaints.filter((text) => !allowed.some((part) => text.includes(part))),
      [],
    );
  };
  return { page, context, close };
}

export async function ready(page) {
  await page.waitForSelector("body[data-ready]", { timeout: 60_000 });
  await settled(page);
}

/** The directory that the address names is shown, and no other is being read. */
export async function settled(page) {
  await page.waitForFunction(
    () => document.body.dataset.place === location.hash && !document.querySelector(".listing[aria-busy]"),
  );
  await page.waitForFunction(() => !document.querySelector("#notice.busy:not([hidden])"), undefined, {
    timeout: 60_000,
  });
}

/** The names of the rows that are drawn, in their order. */
export function rows(page) {
  return page.$$eval(".row", (all) =>
    all
      .sort((one, other) => one.dataset.index - other.dataset.index)
      .map((row) => row.querySelector(".name").textContent),
  );
}

/** Chooses the row with this name. */
export async function choose(page, name) {
  await page.locator(".row", { has: page.getByText(name, { exact: true }) }).click();
  await settled(page);
}

export function crumbs(page) {
  return page.$$eval("#crumbs li", (all) => all.map((item) => item.textContent));
}

export function figure(page, what) {
  return page.$$eval(
    "#figures div",
    (all, part) => {
      return all.find((one) => one.querySelector("dt").textContent.includes(part))?.querySelector("dd")
        .textContent;
    },
    what,
  );
}

export function notice(page) {
  return page.textContent("#notice span");
}

/** Waits until the notice says something like this. */
export async function told(page, pattern) {
  await page.waitForFunction(
    (source) => {
      const element = document.querySelector("#notice:not(.busy):not([hidden]) span");
      return element && new RegExp(source).test(element.textContent);
    },
    pattern.source,
    { timeout: 60_000 },
  );
  return notice(page);
}

/** Everything that can be used has a name that is read out. */
export async function everythingHasAName(page, context) {
  const session = await context.newCDPSession(page);
  const { nodes } = await session.send("Accessibility.getFullAXTree");
  await session.detach();
  const seen = nodes.filter((node) => !node.ignored && NAMED.has(node.role?.value));
  assert.ok(seen.length > 3, `only ${seen.length} controls were found`);
  const nameless = seen.filter((node) => !node.name?.value?.trim());
  assert.deepEqual(
    nameless.map((node) => node.role.value),
    [],
  );
  return seen.map((node) => `${node.role.value} ${node.name.value}`);
}

/** Texts stand out from what is behind them, as WCAG AA asks. */
export async function textsAreLegible(page) {
  const pairs = await page.evaluate(() => {
    const style = getComputedStyle(document.documentElement);
    const rgb = (name) => {
      const probe = document.createElement("i");
      probe.style.color = style.getPropertyValue(name);
      document.body.append(probe);
      const found = getComputedStyle(probe).color.match(/\d+/g).slice(0, 3).map(Number);
      probe.remove();
      return found;
    };
    const luminance = (name) => {
      const [r, g, b] = rgb(name).map((part) => {
        const share = part / 255;
        return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const contrast = (one, other) => {
      const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
      return (high + 0.05) / (low + 0.05);
    };
    const grounds = ["--ground", "--panel", "--raised", "--tint"];
    const found = grounds.flatMap((ground) =>
      ["--text", "--soft", "--accent-text"].map((text) => [text, ground]),
    );
    return [...found, ["--on-accent", "--accent"], ["--danger", "--panel"]].map(([text, ground]) => [
      `${text} on ${ground}`,
      contrast(text, ground),
    ]);
  });
  assert.deepEqual(
    pairs.filter(([, contrast]) => contrast < 4.5),
    [],
  );
}

/** Nothing is wider than the screen. */
export async function nothingSticksOut(page) {
  const { wide, width } = await page.evaluate(() => ({
    wide: document.documentElement.scrollWidth,
    width: document.documentElement.clientWidth,
  }));
  assert.ok(wide <= width, `the page is ${wide} pixels wide on a screen of ${width}`);
}
