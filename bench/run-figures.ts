import process from 'node:process'
import { messageOf } from '../src/base/errors.js'
import { removeTree } from '../src/base/files.js'
import { type BenchOptions, parseCommandLine } from './command-line.js'
import type { Figure } from './figure.js'
import { makeFigureFolder } from './parts/figure-folder.js'
import { createReport, type Report } from './report.js'

/** Measures the figures that the command line names, all of them without names, and prints them as they come. */
export async function runFigures(figures: readonly Figure[]): Promise<void> {
  try {
    const options = parseCommandLine(process.argv.slice(2))
    if (options.list) return void process.stdout.write(figures.map(({ name, title }) => `${name}: ${title}\n`).join(''))
    const report = createReport((text) => process.stdout.write(text), options)
    for (const figure of chosen(figures, options.names)) await measure(figure, options, report)
  } catch (error) {
    process.stderr.write(`bench: ${messageOf(error)}\n`)
    process.exitCode = 2
  }
}

function chosen(figures: readonly Figure[], names: readonly string[]): readonly Figure[] {
  const unknown = names.find((name) => !figures.some((figure) => figure.name === name))
  if (unknown === undefined) return figures.filter(({ name }) => names.length === 0 || names.includes(name))
  throw new Error(`There is no figure "${unknown}"; there are ${figures.map(({ name }) => name).join(', ')}.`)
}

/** A figure that cannot be measured says why and does not keep the others from being measured. */
async function measure(figure: Figure, { quick, runs, seed }: BenchOptions, report: Report): Promise<void> {
  const folder = await makeFigureFolder(figure)
  const say = (text: string) => void process.stderr.write(`${figure.name}: ${text}\n`)
  report.title(figure.title)
  say(`files in ${folder}`)
  try {
    const size = (full: number, small: number) => (quick ? small : full)
    for await (const line of figure.measure({ quick, runs, seed, folder, size, say })) report.line(line)
  } catch (error) {
    say(`failed: ${error instanceof Error ? (error.stack ?? error.message) : messageOf(error)}`)
    process.exitCode = 1
  } finally {
    await removeTree(folder)
  }
}
