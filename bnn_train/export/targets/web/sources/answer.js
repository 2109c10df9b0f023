// The classes as bars: all in their order where they are few, else the best.

const FEW = 12, BEST = 5;

class Answer {
  constructor(line, list, classes) {
    Object.assign(this, {line, list, classes});
    const count = classes.length <= FEW ? classes.length : BEST;
    this.rows = Array.from({length: count}, () => {
      const row = document.createElement("li"), [name, track, score] = ["name", "track", "score"].map((kind) => {
        const part = document.createElement("span");
        part.className = kind;
        row.append(part);
        return part;
      });
      track.setAttribute("aria-hidden", "true");
      const bar = document.createElement("i");
      track.append(bar);
      list.append(row);
      return {row, name, bar, score};
    });
    const longest = Math.max(...classes.map((name) => name.length));
    list.style.setProperty("--name", `${Math.min(11, Math.max(1.4, longest * 0.62))}em`);
  }

  clear(said = "") {
    this.line.textContent = said;
    this.show(null);
  }

  /** logits: a number for each class. */
  tell(logits) {
    const order = [...logits.keys()].sort((a, b) => logits[b] - logits[a] || a - b), [first, second] = order;
    const name = document.createElement("b");
    this.best = this.classes[first];
    name.textContent = this.classes[first];
    name.classList.toggle("long", this.classes[first].length > 7);
    const next = second === undefined ? "" : `next best: ${this.classes[second]}`;
    if (this.line.querySelector("b")?.textContent !== this.classes[first]) this.line.replaceChildren(name, "");
    this.line.lastChild.textContent = next;
    this.show(logits, this.classes.length <= FEW ? [...logits.keys()] : order, first);
  }

  show(logits, order = [...this.classes.keys()], first = -1) {
    const least = logits ? Math.min(...logits) : 0, range = logits ? Math.max(...logits) - least || 1 : 1;
    this.rows.forEach(({row, name, bar, score}, i) => {
      name.textContent = name.title = this.classes[order[i]];
      bar.style.width = logits ? `${Math.max(1, (100 * (logits[order[i]] - least)) / range)}%` : "0";
      score.textContent = logits ? logits[order[i]].toFixed(2).replace("-", "−") : "";
      row.classList.toggle("best", order[i] === first);
    });
  }
}
