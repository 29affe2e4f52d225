// The laws of import (docs/architecture.md): who may import whom. A room may always import itself and npm packages.
const mayImport = {
  'src/base': [],
  'src/process': ['src/base'],
  'src/images': ['src/base'],
  'src/loop/protocol': [],
  'src/loop/client': ['src/base', 'src/images', 'src/loop/protocol'],
  'src/queue': ['src/base', 'src/process', 'src/loop/protocol'],
  'src/executors': ['src/base', 'src/process', 'src/loop/protocol'],
  'src/workers': ['src/base', 'src/images', 'src/loop', 'src/queue', 'src/executors', 'src/inference'],
  'src/inference': ['src/base', 'src/images', 'src/process', 'src/loop/protocol'],
  'src/detector': ['src/base', 'src/images', 'src/loop', 'src/inference'],
  'src/nodes': ['src/base', 'src/images', 'src/loop', 'src/queue', 'src/inference', 'src/detector'],
  'src/dashboard': ['src/base', 'src/loop/protocol', 'src/queue'],
  'src/mock/loop': ['src/base', 'src/images', 'src/loop/protocol'],
  'src/mock/nodes': ['src/base', 'src/process', 'src/loop/protocol', 'src/executors', 'src/inference', 'src/nodes'],
}
// src/config puts every part's option schemas together; src/cli builds everything.

const roomLaws = Object.entries(mayImport).map(([room, allowed]) => ({
  name: `${room.replace('src/', '').replace('/', '-')}-imports`,
  severity: 'error',
  from: { path: `^${room}/` },
  to: { path: '^src/', pathNot: [room, ...allowed].map((path) => `^${path}/`) },
}))

module.exports = {
  forbidden: [
    ...roomLaws,
    { name: 'no-cycle', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'detector-room-only-from-detector-node',
      severity: 'error',
      from: { path: '^src/nodes/', pathNot: '^src/nodes/detector/detector-node\\.ts$' },
      to: { path: '^src/detector/' },
    },
    {
      name: 'stages-never-import-stages',
      severity: 'error',
      from: {
        path: '^src/workers/trainings/stages/([^/]+)\\.ts$',
        pathNot: '^src/workers/trainings/stages/stage\\.ts$',
      },
      to: { path: '^src/workers/trainings/stages/', pathNot: '^src/workers/trainings/stages/stage\\.ts$' },
    },
    {
      name: 'bullmq-only-in-queue',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/queue/' },
      to: { path: 'node_modules/bullmq' },
    },
    {
      name: 'bull-board-only-in-dashboard',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/dashboard/' },
      to: { path: 'node_modules/@bull-board' },
    },
    {
      name: 'nobody-imports-the-cli',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/cli/' },
      to: { path: '^src/cli/' },
    },
    {
      name: 'only-the-cli-imports-config',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(cli|config)/' },
      to: { path: '^src/config/' },
    },
    {
      name: 'no-test-code-in-src',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench)/' },
    },
    {
      name: 'no-unresolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    // TypeScript 7 has no JS API, so swc reads the files; it sees `import type` too.
    parser: 'swc',
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: ['\\.d\\.ts$', '/page/.*\\.js$'] }, // pages run in the browser
    enhancedResolveOptions: {
      extensions: ['.ts', '.js', '.json'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
    },
  },
}
