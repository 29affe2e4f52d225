// The laws of import (docs/architecture.md). Who may import whom, through which door, and which way the parts of a room
// point stands in scripts/rooms.cjs. A room may always import itself and npm packages.
const { mayImport, parts, rooms, filesOf, doorsOf } = require('./scripts/rooms.cjs')

const nameOf = (room) => room.replace('src/', '').replaceAll('/', '-')
const exactly = (file) => `^${file.replace('.', '\\.')}$`

const roomLaws = Object.entries(mayImport).map(([room, allowed]) => ({
  name: `${nameOf(room)}-imports`,
  severity: 'error',
  from: { path: filesOf(room) },
  to: { path: '^src/', pathNot: [room, ...allowed].map(filesOf) },
}))

const doorLaws = rooms.map((room) => ({
  name: `door-of-${nameOf(room)}`,
  comment: 'Other rooms import what index.ts names; add it there, or ask whether it should be private.',
  severity: 'error',
  from: { path: '^src/', pathNot: filesOf(room) },
  to: { path: filesOf(room), pathNot: doorsOf(room).map(exactly) },
}))

const partLaws = Object.entries(parts).flatMap(([room, arrows]) =>
  Object.entries(arrows).map(([part, allowed]) => ({
    name: `${nameOf(room)}-part-${part}`,
    severity: 'error',
    from: { path: `^${room}/${part}/` },
    to: {
      path: Object.keys(arrows)
        .filter((other) => other !== part && !allowed.includes(other))
        .map((other) => `^${room}/${other}/`),
    },
  })),
)

module.exports = {
  forbidden: [
    ...roomLaws,
    ...doorLaws,
    ...partLaws.filter(({ to }) => to.path.length > 0),
    { name: 'no-cycle', severity: 'error', from: {}, to: { circular: true } },
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
