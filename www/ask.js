// A question in a dialog, with up to two fields.

const dialog = document.getElementById("ask");
const form = dialog.querySelector("form");
const title = document.getElementById("ask-title");
const text = document.getElementById("ask-text");
const error = document.getElementById("ask-error");
const ok = document.getElementById("ask-ok");
const fields = ["first", "second"].map((name) => ({
  label: document.getElementById(`ask-${name}-label`),
  input: document.getElementById(`ask-${name}`),
}));

document.getElementById("ask-cancel").addEventListener("click", () => dialog.close());

/**
 * Asks, and runs `act` with the answers. While that throws, the dialog stays and says why. A field is
 * `{ label, value, select: [from, to] }`. True if it was done, false if it was given up.
 */
export function ask({ heading, explanation = "", first, second, yes, isDangerous = false, act }) {
  title.textContent = heading;
  text.textContent = explanation;
  text.hidden = explanation === "";
  error.textContent = "";
  ok.textContent = yes;
  ok.classList.toggle("danger", isDangerous);
  [first, second].forEach((field, index) => fill(fields[index], field));
  dialog.showModal();
  if (first) fields[0].input.setSelectionRange(...(first.select ?? [0, first.value.length]));
  else ok.focus();
  return new Promise((resolve) => {
    const submitted = async (event) => {
      if (event.submitter?.value !== "ok") return;
      event.preventDefault();
      ok.disabled = true;
      try {
        await act(...fields.map((field) => field.input.value));
        dialog.close("ok");
      } catch (reason) {
        error.textContent = reason.message ?? String(reason);
      } finally {
        ok.disabled = false;
      }
    };
    const closed = () => {
      form.removeEventListener("submit", submitted);
      resolve(dialog.returnValue === "ok");
      dialog.returnValue = "";
    };
    form.addEventListener("submit", submitted);
    dialog.addEventListener("close", closed, { once: true });
  });
}

function fill({ label, input }, field) {
  label.hidden = field === undefined;
  input.disabled = field === undefined;
  label.firstElementChild.textContent = field?.label ?? "";
  input.value = field?.value ?? "";
}
