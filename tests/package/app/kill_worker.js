// Writes until the browser is killed, and looks at what is there when it is started again.
//
// Every step is made from its number alone, so the state after `n` steps is known. A step is a batch that also
// writes its own number, or a move of a directory, which the next batch tells of. So what is there must be the
// state after as many steps as it says, or one move later, and at least as many as were acknowledged.

import { init, Spinney } from "/node_modules/spinney/index.js";

const NAME = "killed";
const MOVES_EVERY = 97;
// Small, so that checkpoints and full logs come often.
const sizes = { cacheBytes: 1 << 20, logBytes: 8 << 20 };

/** Always the same number for a step. */
function mixed(step, salt) {
  let x = Math.imul(step ^ (salt * 0x9e3779b9), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

const isMove = (step) => step % MOVES_EVERY === 0;
const isTo = (step) => (step / MOVES_EVERY) % 2 === 1;
const movedOf = (step) => (isTo(step) ? ["a/", "moved/"] : ["moved/", "a/"]);

function writesOf(step) {
  const writes = [];
  for (let i = 0; i <= mixed(step, 1) % 4; i++) {
    const key = `${"bc"[mixed(step, i) % 2]}/${mixed(step, 10 + i) % 50}/${mixed(step, 20 + i) % 100}`;
    const isRemoved = mixed(step, 30 + i) % 5 === 0;
    writes.push([key, isRemoved ? undefined : `${step}.${i}`.padEnd(mixed(step, 40 + i) % 1500, "-")]);
  }
  writes.push([`${isTo(step - (step % MOVES_EVERY)) ? "moved" : "a"}/${mixed(step, 5) % 200}`, `${step}`]);
  return writes;
}

/** The state after so many steps; `more` is a state before, to go on with. */
function advance(state, from, to) {
  for (let step = from + 1; step <= to; step++) {
    if (isMove(step)) {
      const [old, fresh] = movedOf(step);
      for (const [key, value] of [...state].filter(([key]) => key.startsWith(old))) {
        state.delete(key);
        state.set(fresh + key.slice(old.length), value);
      }
    } else {
      for (const [key, value] of writesOf(step)) value === undefined ? state.delete(key) : state.set(key, value);
    }
  }
  return state;
}

function differs(found, state) {
  const sorted = [...state].sort(([a], [b]) => (a < b ? -1 : 1));
  if (found.length !== sorted.length) return `${found.length} keys in place of ${sorted.length}`;
  for (let i = 0; i < sorted.length; i++) {
    if (found[i][0] !== sorted[i][0] || found[i][1] !== sorted[i][1]) return `${found[i]} in place of ${sorted[i]}`;
  }
  return undefined;
}

function verify(db, acknowledged) {
  const told = Number(db.getText("step") ?? 0);
  const found = Array.from(db.scan(), (entry) => [entry.key, entry.text]).filter(([key]) => key !== "step");
  const report = db.check();
  if (!report.isClean) throw new Error(`check: ${JSON.stringify(report.problems.slice(0, 3))}`);
  const state = advance(new Map(), 0, told);
  let steps = told;
  let difference = differs(found, state);
  if (difference !== undefined && isMove(told + 1)) {
    steps = told + 1;
    difference = differs(found, advance(state, told, steps));
  }
  if (difference !== undefined) throw new Error(`after step ${told}: ${difference}`);
  if (steps < acknowledged) throw new Error(`step ${acknowledged} was acknowledged, ${steps} are there`);
  return steps;
}

function run(db, step) {
  if (isMove(step)) {
    const [old, fresh] = movedOf(step);
    db.renamePrefix(old, fresh);
    return;
  }
  const batch = db.batch().put(db, "step", `${step}`);
  for (const [key, value] of writesOf(step)) value === undefined ? batch.remove(db, key) : batch.put(db, key, value);
  batch.commit();
  batch.close();
}

onmessage = async ({ data: { durability, acknowledged, writes } }) => {
  try {
    await init();
    const start = performance.now();
    const db = await Spinney.openOpfs(NAME, { durability, ...sizes, waitMs: 5000 });
    const openMs = performance.now() - start;
    let step = verify(db, acknowledged);
    postMessage({ opened: step, openMs, stats: db.stats() });
    if (!writes) {
      await db.close();
      postMessage({ closed: true });
      return;
    }
    for (;;) {
      // A turn of some steps, so that timers get theirs in between.
      for (let i = 0; i < 20; i++) run(db, (step += 1));
      if (durability === "buffered") {
        // What is not synced may be lost, and is not acknowledged.
        if (mixed(step, 7) % 3 === 0) db.sync();
        else await new Promise((resolve) => setTimeout(resolve, mixed(step, 8) % 12));
        if (db.stats().unsyncedBytes > 0) continue;
      }
      postMessage({ acknowledged: step });
      await new Promise((resolve) => setTimeout(resolve));
    }
  } catch (error) {
    postMessage({ failed: String(error.stack ?? error) });
  }
};
