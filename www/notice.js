// The line above the files that says what has happened, or what is going on.

const notice = document.getElementById("notice");

/** Says something until it is dismissed. `button` is a label and what it does. */
export function say(text, button = undefined) {
  const said = document.createElement("span");
  said.textContent = text;
  notice.replaceChildren(said);
  if (button) notice.append(control(...button, "main"));
  notice.append(control("Dismiss", hideNotice, "link"));
  notice.classList.remove("busy");
  notice.hidden = false;
}

/** Says what is going on until the function that it returns is called. */
export function busy(text) {
  notice.textContent = text;
  notice.classList.add("busy");
  notice.hidden = false;
  return () => {
    if (notice.classList.contains("busy")) hideNotice();
  };
}

/** Says what went wrong. */
export function trouble(error, again) {
  say(`That did not work: ${error.message ?? error}`, ["Try again", again]);
}

export function hideNotice() {
  notice.hidden = true;
}

function control(label, act, kind) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = kind;
  button.textContent = label;
  button.addEventListener("click", act);
  return button;
}
