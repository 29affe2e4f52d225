// The rooms of src (docs/architecture.md, decision 28): what each may import of the others, beside itself and packages.
// A room is a folder with a door (index.ts); a folder in it that is listed too is a room of its own.
// .dependency-cruiser.cjs makes laws of these tables, scripts/house.mjs reads them.

const { existsSync, readdirSync } = require('node:fs')
const { join } = require('node:path')

const BASE = [
  'src/base',
  'src/base/archives',
  'src/base/binary',
  'src/base/http',
  'src/base/logger',
  'src/base/sockets',
  'src/base/tar',
  'src/base/terminal',
  'src/base/threads',
  'src/base/zip',
]
const IMAGES = ['src/images', 'src/images/pixels']
const PROCESS = ['src/process', 'src/process/figures', 'src/process/folder-lock']
const LOOP = ['src/loop/protocol', 'src/loop/client', 'src/loop/client/socket']
const QUEUE = ['src/queue', 'src/queue/redis', 'src/queue/redis-basics', 'src/queue/embedded-redis']
const INFERENCE = ['src/inference', 'src/inference/basics']
const EXECUTORS = [
  'src/executors/contract',
  'src/executors/dataset',
  'src/executors/definition',
  'src/executors/gpu',
  'src/executors/plugin',
  'src/executors/program',
  'src/executors/training',
]
const EXECUTORS_MAY = [...BASE, ...PROCESS, 'src/loop/protocol']
const NODES_MAY = [...BASE, ...IMAGES, ...LOOP, ...QUEUE, ...INFERENCE, 'src/nodes']

const mayImport = {
  'src/base': ['src/base/logger'],
  'src/base/archives': ['src/base'],
  'src/base/binary': [],
  'src/base/http': ['src/base', 'src/base/logger'],
  'src/base/logger': [],
  'src/base/sockets': ['src/base', 'src/base/http', 'src/base/logger'],
  'src/base/tar': ['src/base', 'src/base/archives'],
  'src/base/terminal': [],
  'src/base/threads': ['src/base/logger'],
  'src/base/zip': ['src/base'],
  'src/process': BASE,
  'src/process/figures': [...BASE, 'src/process'],
  'src/process/folder-lock': [...BASE, 'src/process'],
  'src/images': BASE,
  'src/images/pixels': [...BASE, 'src/images'],
  'src/loop/protocol': [],
  'src/loop/client': [...BASE, ...IMAGES, 'src/loop/protocol'],
  'src/loop/client/socket': [...BASE, 'src/loop/protocol', 'src/loop/client'],
  'src/queue': [...BASE, ...PROCESS, 'src/loop/protocol', 'src/queue/redis', 'src/queue/redis-basics'],
  'src/queue/redis': [...BASE, 'src/queue/redis-basics'],
  'src/queue/redis-basics': BASE,
  'src/queue/embedded-redis': [...BASE, ...PROCESS, 'src/queue/redis', 'src/queue/redis-basics'],
  'src/executors/contract': EXECUTORS_MAY,
  'src/executors/gpu': [...EXECUTORS_MAY, 'src/executors/contract'],
  'src/executors/dataset': [...EXECUTORS_MAY, 'src/executors/contract'],
  'src/executors/definition': [...EXECUTORS_MAY, 'src/executors/contract', 'src/executors/dataset'],
  'src/executors/program': [
    ...EXECUTORS_MAY,
    'src/executors/contract',
    'src/executors/gpu',
    'src/executors/definition',
  ],
  'src/executors/training': [...EXECUTORS_MAY, ...EXECUTORS.filter((room) => room !== 'src/executors/plugin')],
  'src/executors/plugin': [...EXECUTORS_MAY, ...EXECUTORS.filter((room) => room !== 'src/executors/training')],
  'src/inference': [...BASE, ...IMAGES, ...PROCESS, 'src/loop/protocol', 'src/inference/basics'],
  'src/inference/basics': [...BASE, ...IMAGES],
  'src/workers': [...BASE, ...IMAGES, ...LOOP, ...QUEUE, ...EXECUTORS, ...INFERENCE, 'src/workers/workspaces'],
  'src/workers/workspaces': [...BASE, 'src/loop/protocol', ...QUEUE, ...EXECUTORS],
  'src/detector': [...BASE, ...IMAGES, ...LOOP, ...INFERENCE],
  'src/nodes': NODES_MAY.filter((room) => room !== 'src/nodes'),
  ...Object.fromEntries(nodeTypes().map((type) => [`src/nodes/${type}`, NODES_MAY])),
  'src/nodes/detector': [...NODES_MAY, 'src/detector'],
  'src/dashboard': [...BASE, 'src/loop/protocol', ...QUEUE],
  'src/mock/loop': [...BASE, ...IMAGES, 'src/loop/protocol'],
  'src/mock/nodes': [
    ...BASE,
    ...PROCESS,
    'src/loop/protocol',
    'src/executors/contract',
    'src/executors/plugin',
    ...INFERENCE,
    'src/nodes/annotator',
  ],
  'src/config': [...BASE, 'src/loop/protocol'],
}
/** It builds everything, and nobody imports it. */
const everything = 'src/cli'
const rooms = [...Object.keys(mayImport), everything]

/** Doors beside index.ts: what authors of plug-ins import is published, and loads nothing else of its room. */
const publishedDoors = [
  'src/executors/plugin/trainer-plugin/index.ts',
  'src/executors/plugin/converter-plugin/index.ts',
]

/** The folders of a room, and which other folders of it each may import. */
const parts = {
  'src/queue': {
    jobs: [],
    records: ['jobs'],
    blame: ['records'],
    fleet: ['jobs', 'records'],
    trainings: ['jobs', 'records', 'blame'],
    conversions: ['jobs', 'records', 'blame'],
  },
  'src/loop/client': { session: [], images: ['session'], models: ['session'] },
  'src/inference': {
    image: [],
    decoders: ['image'],
    findings: ['image', 'decoders'],
    external: ['findings'],
    backends: ['image', 'decoders', 'findings'],
    pool: ['image', 'findings', 'backends'],
  },
  'src/workers': {
    checkpoints: [],
    engine: [],
    trainings: ['checkpoints', 'engine'],
    conversions: ['engine'],
  },
  'src/detector': {
    models: [],
    outbox: [],
    relevance: [],
    serving: ['models', 'outbox', 'relevance'],
    server: ['serving'],
  },
}

/** Each type of node is a room, so that a command loads one of them. */
function nodeTypes() {
  const folder = join(__dirname, '../src/nodes')
  if (!existsSync(folder)) return []
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
}

/** The room of a file: the longest that it lies in. */
function roomOf(file) {
  return rooms.filter((room) => file.startsWith(`${room}/`)).sort((a, b) => b.length - a.length)[0]
}

/** The files of a room, as a pattern: not those of rooms in it. */
function filesOf(room) {
  const inside = rooms.filter((other) => other.startsWith(`${room}/`)).map((other) => other.slice(room.length + 1))
  return inside.length === 0 ? `^${room}/` : `^${room}/(?!(?:${inside.join('|')})/)`
}

function doorsOf(room) {
  return [`${room}/index.ts`, ...publishedDoors.filter((door) => door.startsWith(`${room}/`))]
}

module.exports = { rooms, mayImport, everything, parts, roomOf, filesOf, doorsOf }
