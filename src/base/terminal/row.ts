/** A row of a terminal: text is written at its cursor, over what stands there. Every code unit counts as a column. */
export class Row {
  column = 0
  #text = ''
  /** SGR parameters of every column, once there are any. */
  #styles: string[] | undefined

  get text(): string {
    return this.#text
  }

  /** `style` is SGR parameters, empty for plain. */
  write(text: string, style = ''): void {
    if (this.column > this.#text.length) this.#text = this.#text.padEnd(this.column)
    const start = this.column
    this.column += text.length
    this.#text =
      start === this.#text.length
        ? this.#text + text
        : this.#text.slice(0, start) + text + this.#text.slice(this.column)
    if (style === '' && this.#styles === undefined) return
    this.#styles ??= []
    for (let at = start; at < this.column; at += 1) this.#styles[at] = style
  }

  /** As control sequence K: what follows the cursor (0), what precedes it (1), everything (2). */
  erase(what: string): void {
    if (what === '2') this.#text = ''
    else if (what === '1')
      this.#text = ' '.repeat(Math.min(this.column, this.#text.length)) + this.#text.slice(this.column)
    else this.#text = this.#text.slice(0, this.column)
  }

  /** With its colours, each of them ended within the row. */
  get colouredText(): string {
    const styles = this.#styles
    const text = this.#text.trimEnd()
    if (styles === undefined) return text
    let result = ''
    for (let start = 0, end = 0; start < text.length; start = end) {
      const style = styles[start] ?? ''
      while (end < text.length && (styles[end] ?? '') === style) end += 1
      const run = text.slice(start, end)
      result += style === '' ? run : `\u001b[${style}m${run}\u001b[0m`
    }
    return result
  }
}
