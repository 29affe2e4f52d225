import { parseArgs } from 'node:util'
import { stages } from '../../src/queue/jobs/names.js'
import { type CellChoice, faults } from './cells.js'

export type FaultsOptions = CellChoice & {
  readonly seed: number
  readonly rounds: number
  readonly short: boolean
  readonly json: boolean
}

export const USAGE = `npm run test:faults [-- --seed N] [--rounds N] [--stage S] [--fault F] [--short] [--json]
stages: ${stages.join(', ')}
faults: ${faults.join(', ')}`

/** Reads the command line; throws with what is wrong and what is possible. */
export function parseFaultsOptions(args: readonly string[]): FaultsOptions {
  const { values } = parseArgs({
    args: args.filter((arg) => arg !== '--'),
    options: {
      seed: { type: 'string', default: '1' },
      rounds: { type: 'string', default: '1' },
      stage: { type: 'string' },
      fault: { type: 'string' },
      short: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  })
  return {
    seed: wholeNumber('seed', values.seed, 0),
    rounds: wholeNumber('rounds', values.rounds, 1),
    stage: oneOf('stage', values.stage, stages),
    fault: oneOf('fault', values.fault, faults),
    short: values.short,
    json: values.json,
  }
}

function wholeNumber(name: string, text: string, least: number): number {
  const number = Number(text)
  if (Number.isInteger(number) && number >= least) return number
  throw new Error(`--${name} is ${JSON.stringify(text)}; it must be a whole number from ${least} on.`)
}

function oneOf<T extends string>(name: string, text: string | undefined, all: readonly T[]): T | undefined {
  if (text === undefined) return undefined
  const found = all.find((each) => each === text)
  if (found === undefined) throw new Error(`--${name} is ${JSON.stringify(text)}; it must be one of ${all.join(', ')}.`)
  return found
}
