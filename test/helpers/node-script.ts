import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export type NodeScript = {
  readonly process: ChildProcess
  readonly pid: number
  /** What it prints first. */
  readonly firstLine: string
  kill(signal: NodeJS.Signals): Promise<void>
}

/**
 * Starts a script of ours, named without its ending, as a Node process of its own and waits for its first line. Works
 * from the sources and from the compiled tests alike. `flags` are for Node.
 */
export async function startNodeScript(
  script: URL,
  args: readonly string[],
  { flags = [] }: { readonly flags?: readonly string[] } = {},
): Promise<NodeScript> {
  const runsFromSource = import.meta.url.endsWith('.ts')
  const path = `${fileURLToPath(script)}${runsFromSource ? '.ts' : '.js'}`
  const child = spawn(process.execPath, [...flags, ...(runsFromSource ? ['--import', 'tsx'] : []), path, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  const lines = createInterface({ input: child.stdout })
  const [firstLine] = await Promise.race([once(lines, 'line'), ended.then(() => [undefined])])
  if (typeof firstLine !== 'string' || child.pid === undefined) throw new Error(`${path} ended before it said a word`)
  const kill = async (signal: NodeJS.Signals): Promise<void> => {
    child.kill(signal)
    await ended
    lines.close()
  }
  return { process: child, pid: child.pid, firstLine, kill }
}
