import process from 'node:process'

/** What a part reports to the process that started it, as one line on stdout: `loopfleet worker is ready {"hostId":"lab-1"}`. */
export type ReadyFacts = Readonly<Record<string, string | number | boolean | null>>

const READY = /^loopfleet ([a-z-]+) is ready (\{.*\})$/
const LISTENING = /^loopfleet ([a-z-]+) is listening (\{.*\})$/
const WAITING = /^loopfleet ([a-z-]+) is waiting: (.+)$/

export function sayReady(part: string, facts: ReadyFacts): void {
  process.stdout.write(`loopfleet ${part} is ready ${JSON.stringify(facts)}\n`)
}

/** The part answers at its address, but cannot do its work yet. */
export function sayListening(part: string, facts: ReadyFacts): void {
  process.stdout.write(`loopfleet ${part} is listening ${JSON.stringify(facts)}\n`)
}

/** What the part needs before it is ready. */
export function sayWaiting(part: string, reason: string): void {
  process.stdout.write(`loopfleet ${part} is waiting: ${reason.replaceAll(/\s+/g, ' ')}\n`)
}

type FactsLine = { readonly part: string; readonly facts: ReadyFacts }

/** The facts of a ready line, or undefined for any other line. */
export function parseReadyLine(line: string): FactsLine | undefined {
  return parseFacts(READY, line)
}

/**
 * The same for the line of a part that listens.
 * @internal since tests wait for a detector that listens without a model.
 */
export function parseListeningLine(line: string): FactsLine | undefined {
  return parseFacts(LISTENING, line)
}

/** The reason of a line of a part that waits, or undefined for any other line. */
export function parseWaitingLine(line: string): string | undefined {
  return WAITING.exec(line.trim())?.[2]
}

function parseFacts(pattern: RegExp, line: string): FactsLine | undefined {
  const match = pattern.exec(line.trim())
  if (match?.[1] === undefined || match[2] === undefined) return undefined
  return { part: match[1], facts: JSON.parse(match[2]) }
}
