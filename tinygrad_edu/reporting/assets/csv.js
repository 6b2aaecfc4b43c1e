"use strict";
/* A reader's own CSV file as a data set of the page: the rules of tinygrad-edu play --csv. Nothing in it is run. */
const csvFile = (() => {
  const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i, BYTES = 5e6, SAMPLES = 5000, CLASSES = 8, FEW = 20;
  const numberOf = text => NUMBER.test(text.trim()) ? Number(text.trim()) : NaN;

  const count = (amount, noun) => `${amount} ${noun}${amount === 1 ? "" : noun.endsWith("s") ? "es" : "s"}`;

  /* The bytes as text. Python reads the file as UTF-8, so nothing else is guessed. */
  function decode(name, bytes) {
    const first = new Uint8Array(bytes.slice(0, 2)), wide = first[0] + first[1] === 0xFE + 0xFF && first[0] >= 0xFE;
    try {
      if (wide) throw new TypeError();
      return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch {
      throw new Error(`${name} is no text in UTF-8${wide ? ", it is in UTF-16" : ""}: save it as UTF-8 (in Excel: "CSV UTF-8").`);
    }
  }

  /* What is wrong with a cell that should be a number. */
  function complaint(cell) {
    const told = JSON.stringify(cell.slice(0, 30));
    if (!cell.trim()) return "it is empty: fill it in or remove the row.";
    if (/^[+-]?\d*,\d+$/.test(cell.trim())) return `${told} has a decimal comma: write a point.`;
    return `${told} is not a finite number.`;
  }

  /* Words among the features, or above targets that are numbers; or 0, 1, 2, ..., which pandas calls its columns. */
  function isHeader(first, others) {
    if (first.slice(0, -1).some(x => Number.isNaN(numberOf(x)))) return true;
    if (!others.length) return false;
    if (Number.isNaN(numberOf(first[first.length - 1]))) return others.every(row => !Number.isNaN(numberOf(row[row.length - 1])));
    const counted = first.length > 2 && first.every((x, i) => x.trim() === String(i));
    return counted && (first.length > 3 || others.some(row => row.some(x => !/^\d+$/.test(x.trim()))));
  }

  /* Is the first column the index that DataFrame.to_csv writes, 0, 1, 2, ... below a blank name? */
  const isNumbered = (names, rows) => names.length > 2 && ["", "Unnamed: 0"].includes(names[0].trim()) &&
    rows.every(({ cells }, i) => cells[0].trim() === String(i));

  function cellsOf(text, delimiter) {
    const rows = [];
    let row = [], cell = "", quoted = false;
    for (let i = 0; i < text.length; i++) {
      const letter = text[i];
      if (quoted) {
        if (letter !== '"') cell += letter;
        else if (text[i + 1] === '"') { cell += '"'; i += 1; } else quoted = false;
      } else if (letter === '"' && cell === "") quoted = true;
      else if (letter === delimiter) { row.push(cell); cell = ""; }
      else if (letter === "\n" || letter === "\r") {
        if (letter === "\r" && text[i + 1] === "\n") i += 1;
        row.push(cell); rows.push(row); [row, cell] = [[], ""];
      } else cell += letter;
    }
    if (quoted) throw new Error("a quotation mark is opened and never closed.");
    if (cell !== "" || row.length) { row.push(cell); rows.push(row); }
    return rows.map((cells, i) => ({ cells, line: i + 1 })).filter(({ cells }) => cells.some(x => x.trim()));
  }

  /* The data set; throws an Error whose message says what is wrong with the file. */
  function read(name, text, widest) {
    if (text.includes("\0")) throw new Error(`${name} is no text.`);
    const plain = text.replace(/^\uFEFF/, ""), first = plain.trimStart().split("\n", 1)[0];
    const delimiter = [",", ";", "\t"].reduce((best, mark) => first.split(mark).length > first.split(best).length ? mark : best);
    let rows;
    try { rows = cellsOf(plain, delimiter); } catch (error) { throw new Error(`${name}: ${error.message}`); }
    const header = rows.length > 0 && isHeader(rows[0].cells, rows.slice(1).map(({ cells }) => cells));
    const names = header ? rows[0].cells : [];
    if (header) rows = rows.slice(1);
    const numbered = isNumbered(names, rows) && rows.every(({ cells }) => cells.length === rows[0].cells.length);
    if (numbered) rows = rows.map(({ cells, line }) => ({ cells: cells.slice(1), line }));
    const width = rows.length ? rows[0].cells.length : 0, features = width - 1, n = rows.length;
    if (!n) throw new Error(`${name} has no samples: a row for each is needed, its target in the last column.`);
    if (n > SAMPLES) throw new Error(`${name} has ${count(n, "sample")}: the playground takes up to ${SAMPLES}.`);
    if (features < 1 || features > widest) throw new Error(`${name} has ${count(width, "column")}: 2 to ${widest + 1} are needed, the last one for the target.`);
    const X = [];
    for (const { cells, line } of rows) {
      if (cells.length !== width) throw new Error(`${name}, line ${line}: it has ${count(cells.length, "column")}, and ${width} are needed.`);
      for (let j = 0; j < features; j++) {
        const x = numberOf(cells[j]);
        if (!Number.isFinite(x)) throw new Error(`${name}, line ${line}, column ${j + 1}: ${complaint(cells[j])}`);
        X.push(x);
      }
    }
    const labels = rows.map(({ cells }) => cells[features].trim()), numbers = labels.map(numberOf), numeric = !numbers.some(Number.isNaN);
    const kinds = [...new Set(numeric ? numbers : labels)].sort(numeric ? (a, b) => a - b : undefined);
    const classes = !numeric || kinds.length >= 2 && kinds.length <= Math.min(FEW, Math.floor(n / 2)) && kinds.every(Number.isInteger);
    if (classes && (kinds.length < 2 || kinds.length > CLASSES)) throw new Error(`${name}: its last column has ${count(kinds.length, "class")}, and 2 to ${CLASSES} can be shown.`);
    if (numeric && !numbers.every(Number.isFinite)) throw new Error(`${name}: its last column holds a number that is not finite.`);
    const quoted = JSON.stringify(name), mark = JSON.stringify(delimiter);
    return {
      title: name, features, X, scaled: standardize(X, features), startScaled: true,
      y: classes ? (numeric ? numbers : labels).map(x => kinds.indexOf(x)) : numbers,
      classes: classes ? kinds.map(x => String(x).slice(0, 30)) : [],
      program: ["import csv", "", `with open(${quoted}, newline="", encoding="utf-8-sig") as file:`,
        `    rows = [row for row in csv.reader(file, delimiter=${mark}) if "".join(row).strip()]${header ? "[1:]" : ""}`,
        `X = np.array([row[${numbered ? 1 : ""}:-1] for row in rows], dtype=float)`,
        `y = np.array([row[-1].strip() for row in rows])${numeric ? ".astype(float)" : ""}`],
    };
  }

  /* As tg.data.standardize. */
  function standardize(X, features) {
    const n = X.length / features, found = X.slice();
    for (let j = 0; j < features; j++) {
      let sum = 0, squares = 0, same = true, largest = 0;
      for (let i = j; i < X.length; i += features) largest = Math.max(largest, Math.abs(X[i]));
      const unit = 2 ** Math.floor(Math.log2(largest)) || 1;  // so that no square is too large or too small
      for (let i = j; i < X.length; i += features) { sum += X[i] / unit; same = same && X[i] === X[j]; }
      const mean = sum / n;
      for (let i = j; i < X.length; i += features) squares += (X[i] / unit - mean) ** 2;
      const [shift, scale] = same ? [X[j], 1] : [unit * mean, unit * Math.sqrt(squares / n)];
      for (let i = j; i < X.length; i += features) found[i] = (X[i] - shift) / scale;
    }
    return found;
  }
  return { read, decode, count, BYTES };
})();
