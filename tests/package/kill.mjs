// Kills the whole browser with signal 9 while a worker writes, and looks whether all that was acknowledged is
// there when it is started again, and nothing else: see app/kill_worker.js.
//
//   node kill.mjs KILLS

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { args, executablePath, html, remove, serve } from "./serve.mjs";

const kills = Number(process.argv[2] ?? 5);
const here = import.meta.dirname ?? new URL(".", import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), "spinney-kill-"));
const server = await serve(here, { "/kill.html": html("/app/kill.js") });

/** Chromium in a group of processes of its own, with the same profile each time. */
async function start() {
  const own = ["--headless=new", "--remote-debugging-port=0", `--user-data-dir=${join(folder, "profile")}`];
  const child = spawn(executablePath, [...args, ...own, "about:blank"], { detached: true, stdio: ["ignore", "ignore", "pipe"] });
  const address = await new Promise((resolve, reject) => {
    let text = "";
    const timer = setTimeout(() => reject(new Error(`Chromium does not start: ${text}`)), 60000);
    child.stderr.on("data", (data) => {
      text += data;
      const found = /ws:\/\/\S+/.exec(text);
      if (!found) return;
      clearTimeout(timer);
      resolve(found[0]);
    });
  });
  const end = async () => {
    const gone = new Promise((resolve) => child.once("exit", resolve));
    process.kill(-child.pid, "SIGKILL");
    await gone;
  };
  try {
    return { chrome: await chromium.connectOverCDP(address), end };
  } catch (error) {
    await end();
    throw error;
  }
}

/** Runs a worker until `until` says so, then kills the browser. */
async function round(task, note, until) {
  const { chrome, end } = await start();
  try {
    const page = await chrome.contexts()[0].newPage();
    await page.exposeFunction("note", note);
    await page.goto(`${server.address}/kill.html`);
    await page.evaluate((given) => globalThis.startWorker(given), task);
    await until();
  } finally {
    await end();
    await chrome.close().catch(() => {});
  }
}

let acknowledged = 0;
let beyond = 0;
const checkpoints = [];
const openMs = [];
try {
  for (let kill = 0; kill <= kills; kill++) {
    const durability = kill % 2 === 0 ? "sync" : "buffered";
    const writes = kill < kills;
    let opened;
    let failed;
    const isOpen = new Promise((resolve) => (opened = resolve));
    const isClosed = new Promise((resolve, reject) => {
      failed = reject;
      const note = (told) => {
        if (told.failed) reject(new Error(told.failed));
        if (told.opened !== undefined) {
          beyond += told.opened - acknowledged;
          openMs.push(told.openMs);
          checkpoints.push(told.stats.checkpoints);
          opened();
        }
        if (told.acknowledged !== undefined) acknowledged = told.acknowledged;
        if (told.closed) resolve();
      };
      const until = async () => {
        const timer = setTimeout(() => failed(new Error("the database did not open in a minute")), 60000);
        await Promise.race([isOpen, isClosed]);
        clearTimeout(timer);
        // Some kills come while the first writes are made, others long after checkpoints.
        if (writes) await Promise.race([new Promise((resolve) => setTimeout(resolve, 20 + Math.random() * 1500)), isClosed]);
        else await isClosed;
      };
      round({ durability, acknowledged, writes }, note, until).then(resolve, reject);
    });
    await isClosed;
  }
  assert.ok(acknowledged > kills * 20, `${acknowledged} steps were acknowledged`);
  openMs.sort((a, b) => a - b);
  console.log(
    `${kills} kills: all ${acknowledged} acknowledged steps were there each time, and ${beyond} beyond them;`
    + ` opening took ${openMs[openMs.length >> 1].toFixed(0)} ms, at most ${openMs.at(-1).toFixed(0)}`,
  );
} finally {
  server.close();
  await remove(folder);
}
