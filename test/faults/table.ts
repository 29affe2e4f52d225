import { stages } from '../../src/queue/jobs/names.js'
import type { RoundResult } from './arena.js'
import { faults } from './cells.js'

/** Stages down, faults across; a place that was fought several times shows the longest round, or its failures. */
export function toTable(results: readonly RoundResult[]): string {
  const columns = faults.filter((fault) => results.some((result) => result.fault === fault))
  const rows = stages.filter((stage) => results.some((result) => result.stage === stage))
  const lines = rows.map((stage) => [
    stage,
    ...columns.map((fault) => inWords(results.filter((one) => one.stage === stage && one.fault === fault))),
  ])
  const all = [['', ...columns], ...lines]
  const widths = ['', ...columns].map((_, column) => Math.max(...all.map((line) => (line[column] ?? '').length)))
  return all
    .map((line) => line.map((text, column) => text.padEnd(widths[column] ?? 0)).join('  '))
    .map((line) => line.trimEnd())
    .join('\n')
}

function inWords(results: readonly RoundResult[]): string {
  if (results.length === 0) return '-'
  const failed = results.filter(({ ok }) => !ok).length
  if (failed > 0) return `FAILED ${failed}/${results.length}`
  return `ok ${Math.max(...results.map(({ seconds }) => seconds)).toFixed(1)} s`
}
