export { KeptLines, type TakenLines } from './kept-lines.js'
export { OutputText } from './output-text.js'
export { colouredText, plainText } from './plain-text.js'
