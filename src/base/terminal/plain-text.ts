import { ControlSequenceReader } from './control-sequences.js'
import { applySgr, PLAIN, sgrOf } from './style.js'

/** The text without any control character but tabulator and new line, so that it may go anywhere. */
export function plainText(text: string): string {
  return clean(text, false)
}

/** The text as a terminal may have it: of all control sequences only SGR colours, which end with their line. */
export function colouredText(text: string): string {
  return clean(text, true)
}

function clean(text: string, hasColours: boolean): string {
  let result = ''
  let style = PLAIN
  let isOpen = false
  const close = () => {
    if (isOpen) result += '\u001b[0m'
    isOpen = false
  }
  const reader = new ControlSequenceReader({
    text(piece) {
      const sgr = hasColours && !isOpen ? sgrOf(style) : ''
      if (sgr !== '') result += `\u001b[${sgr}m`
      isOpen ||= sgr !== ''
      result += piece
    },
    lineFeed() {
      close()
      result += '\n'
    },
    carriageReturn: () => undefined,
    backspace: () => undefined,
    controlSequence(final, parameters) {
      if (final !== 'm') return
      close()
      style = applySgr(style, parameters)
    },
  })
  reader.feed(text)
  close()
  return result
}
