import process from 'node:process'

/** What a part tells whoever started it, as one line on stdout: `loopfleet worker is ready {"hostId":"lab-1"}`. */
export type ReadyFacts = Readonly<Record<string, string | number | boolean | null>>

const READY = /^loopfleet ([a-z-]+) is ready (\{.*\})$/

export function sayReady(part: string, facts: ReadyFacts): void {
  process.stdout.write(`loopfleet ${part} is ready ${JSON.stringify(facts)}\n`)
}

/** The facts of a ready line, or undefined for any other line. */
export function parseReadyLine(line: string): { readonly part: string; readonly facts: ReadyFacts } | undefined {
  const match = READY.exec(line.trim())
  if (match?.[1] === undefined || match[2] === undefined) return undefined
  return { part: match[1], facts: JSON.parse(match[2]) }
}
