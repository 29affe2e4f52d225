// Started by scripts/faults.mjs: every stage of a training × every fault, again and again with seeds.
import process from 'node:process'
import { type Arena, FULL, openArena, type RoundResult, SHORT } from './arena.js'
import { allCells, replayCommand } from './cells.js'
import { type FaultsOptions, parseFaultsOptions, USAGE } from './options.js'
import { toTable } from './table.js'

async function main(): Promise<number> {
  const options = readOptions()
  if (options === undefined) return 2
  const results: RoundResult[] = []
  let arena: Arena | undefined
  const end = async () => {
    await arena?.close().catch(() => undefined)
    process.exit(130)
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void end())
  try {
    for (let round = 0; round < options.rounds; round += 1) {
      for (const cell of allCells(options.seed + round, options)) {
        arena ??= await openArena(options.short ? SHORT : FULL)
        const result = await arena.round(cell)
        results.push(result)
        tell(result, options)
        if (result.ok) continue
        await arena.close().catch(() => undefined) // the next round gets a fleet that is well
        arena = undefined
      }
    }
  } finally {
    await arena?.close()
  }
  const failed = results.filter(({ ok }) => !ok)
  if (!options.json)
    process.stdout.write(`\n${toTable(results)}\n\n${results.length} rounds, ${failed.length} failed\n`)
  return failed.length === 0 ? 0 : 1
}

function readOptions(): FaultsOptions | undefined {
  try {
    return parseFaultsOptions(process.argv.slice(2))
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n${USAGE}\n`)
    return undefined
  }
}

function tell(result: RoundResult, { json, short }: FaultsOptions): void {
  const { stage, fault, ok, seconds, problems } = result
  if (json) return void process.stdout.write(`${JSON.stringify(result)}\n`)
  process.stdout.write(`${ok ? 'ok    ' : 'FAILED'} ${stage} × ${fault}, ${seconds.toFixed(1)} s\n`)
  for (const problem of problems) process.stdout.write(`       ${problem}\n`)
  if (!ok) process.stdout.write(`       again: ${replayCommand(result, { short })}\n`)
}

process.exitCode = await main()
