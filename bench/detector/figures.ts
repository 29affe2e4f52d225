import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Bench, compare, type Figure, type FigureLine } from '../figure.js'
import { LIBRARY, type LibraryVersion, nameOf } from '../parts/python-library.js'
import { rateOnAllCores } from './all-cores.js'
import { type DetectorLoop, startDetectorLoop } from './loop.js'
import { CONNECTIONS, compareRows, type LoadedSide, type LoadKind, measureLoad, type Rows } from './measure-load.js'
import { startBareServer, startLibraryDetector, startOurDetector } from './sides.js'

const module = (name: string) => [
  '--backend',
  'module',
  '--module',
  fileURLToPath(new URL(`../backends/${name}.mjs`, import.meta.url)),
]

/** A backend that does not look at the image: what is measured is HTTP, multipart, pool and answer. */
export const restPlain = figure(
  'rest-plain',
  'Detector by REST, backend that does not decode',
  async function* (bench, loop) {
    const rows = await measureLoad(bench, loop, [
      ours(bench, loop, { backend: module('plain'), kind: 'rest' }),
      library(bench, loop, { version: '0.8.2', kind: 'rest' }), // newer ones always decode
      { name: 'bare fastify', start: () => startBareServer('plain'), kind: 'rest' },
    ])
    yield* besides('detector.rest.plain', rows, nameOf('0.8.2'))
    yield* besides('detector.rest.plain.bare', rows, 'bare fastify')
  },
)

export const restDecoded = figure(
  'rest-decoded',
  'Detector by REST, image decoded, trivial model',
  async function* (bench, loop) {
    const rows = await measureLoad(bench, loop, [
      ours(bench, loop, { backend: module('decode'), kind: 'rest' }),
      library(bench, loop, { version: '0.27.0', kind: 'rest' }),
      { name: 'bare fastify', start: () => startBareServer('decode'), kind: 'rest' },
    ])
    yield* besides('detector.rest.decoded', rows, LIBRARY)
    yield* besides('detector.rest.decoded.bare', rows, 'bare fastify')
    const best = await rateOnAllCores(bench, loop, 'decode')
    yield* besidesBest('detector.rest.decoded', rows, { name: 'the decoder on all cores', values: best })
  },
)

export const socketJpeg = figure(
  'socket-jpeg',
  'Detector by socket.io, JPEG bytes (0.8)',
  async function* (bench, loop) {
    const rows = await measureLoad(bench, loop, [
      ours(bench, loop, { backend: module('plain'), kind: 'socket-jpeg', dialect: '0.8' }),
      library(bench, loop, { version: '0.8.2', kind: 'socket-jpeg' }),
    ])
    yield* besides('detector.socket.jpeg', rows, nameOf('0.8.2'))
  },
)

export const socketRaw = figure(
  'socket-raw',
  'Detector by socket.io, raw arrays of 0.9 MB',
  async function* (bench, loop) {
    const rows = await measureLoad(bench, loop, [
      ours(bench, loop, { backend: module('decode'), kind: 'socket-raw' }),
      library(bench, loop, { version: '0.27.0', kind: 'socket-raw' }),
    ])
    yield* besides('detector.socket.raw', rows, LIBRARY)
  },
)

export const restModel = figure(
  'rest-model',
  'Detector by REST with a small ONNX model',
  async function* (bench, loop) {
    const rows = await measureLoad(bench, loop, [
      ours(bench, loop, { backend: ['--backend', 'onnx'], kind: 'rest', format: 'onnx' }),
    ])
    const both = await rateOnAllCores(bench, loop, 'decode-and-model')
    yield* besidesBest('detector.rest.model', rows, { name: 'decoder and model on all cores', values: both })
    const other = { name: 'the model on all cores', values: await rateOnAllCores(bench, loop, 'model') }
    yield busiest('detector.rest.model.32.model-alone', rows, other)
  },
)

type Measure = (bench: Bench, loop: DetectorLoop) => AsyncIterable<FigureLine>

function figure(name: string, title: string, measure: Measure): Figure {
  return {
    name,
    title,
    async *measure(bench) {
      const loop = await startDetectorLoop(bench.folder, bench.seed)
      try {
        yield* measure(bench, loop)
      } finally {
        await loop.end()
      }
    },
  }
}

const OURS = 'loopfleet'
let started = 0

function ours(
  bench: Bench,
  loop: DetectorLoop,
  options: {
    readonly backend: readonly string[]
    readonly kind: LoadKind
    readonly format?: string
    readonly dialect?: '0.8'
  },
): LoadedSide {
  const { kind, format = 'mocked', ...rest } = options
  const folder = () => join(bench.folder, `ours-${started++}`)
  return { name: OURS, start: () => startOurDetector(loop, folder(), { ...rest, format }), kind }
}

function library(
  bench: Bench,
  loop: DetectorLoop,
  { version, kind }: { readonly version: LibraryVersion; readonly kind: LoadKind },
): LoadedSide {
  const folder = () => join(bench.folder, `library-${started++}`)
  return { name: nameOf(version), start: () => startLibraryDetector(version, loop, folder()), kind }
}

function* besides(name: string, rows: ReadonlyMap<string, Rows>, other: string): Generator<FigureLine> {
  const [mine, theirs] = [rows.get(OURS), rows.get(other)]
  if (mine !== undefined && theirs !== undefined) yield* compareRows(name, mine, { name: other, rows: theirs })
}

/** The rate at the most connections besides another. */
function busiest(
  name: string,
  rows: ReadonlyMap<string, Rows>,
  other: { readonly name: string; readonly values: readonly number[] },
): FigureLine {
  return compare({ name, unit: '1/s', better: 'higher', ours: rows.get(OURS)?.[32].rate ?? [], other })
}

/** The rate besides what the machine could do at best; p50 at one connection besides what the work alone takes. */
function* besidesBest(
  name: string,
  rows: ReadonlyMap<string, Rows>,
  best: { readonly name: string; readonly values: readonly number[] },
): Generator<FigureLine> {
  const mine = rows.get(OURS)
  if (mine === undefined) return
  for (const connections of CONNECTIONS) {
    const line = { name: `${name}.${connections}.best`, unit: '1/s', better: 'higher' as const }
    yield compare({ ...line, ours: mine[connections].rate, other: best })
  }
  for (const connections of CONNECTIONS) {
    const { p50, p99, memoryMib } = mine[connections]
    yield compare({ name: `${name}.${connections}.p50-alone`, unit: 'ms', better: 'lower', ours: p50 })
    yield compare({ name: `${name}.${connections}.p99-alone`, unit: 'ms', better: 'lower', ours: p99 })
    yield compare({ name: `${name}.${connections}.memory-alone`, unit: 'MiB', better: 'lower', ours: memoryMib })
  }
}
