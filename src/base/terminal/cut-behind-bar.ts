/** The meter that ends a bar of tqdm: time, rate and what the program adds to them. */
const METER =
  /\[\d+:\d\d(?::\d\d)?(?:<(?:\d+:\d\d(?::\d\d)?|\?))?, *[\d.?]{1,12}[^\s[\],]{0,24}(?:\/s|s\/[^\s[\],]{1,24})(?:, [^[\]]{0,300})?\]/
const ESCAPE = '\u001b'
// biome-ignore lint/suspicious/noControlCharactersInRegex: colours are what is looked for
const SGR = /\u001b\[[\d;:]*m/g

/**
 * A bar that stands on a line takes what is printed next onto that line: `100%|██| 8/8 [00:09<00:00, 1.2s/it]{'loss': …}`.
 * Returns the bar and what follows as two lines.
 */
export function cutBehindBar(line: string): string[] {
  const meter = METER.exec(line)
  if (meter === null) return [line]
  const end = meter.index + meter[0].length
  const [bar, rest] = [line.slice(0, end), line.slice(end)]
  if (!/[^\s\]]/.test(rest.replace(SGR, ''))) return [line]
  const colour = bar.match(SGR)?.at(-1)
  if (colour !== undefined && colour !== `${ESCAPE}[0m`) return [line] // a colour goes on behind the bar
  return [bar, rest]
}
