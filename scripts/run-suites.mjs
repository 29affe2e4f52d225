// Runs the compiled tests in three lanes side by side, each a mocha process after the other, and each takes the next
// suite when it is free: most of what the tests of whole fleets do is waiting for other processes, so others fit in
// between, and all lanes end together. Ends with what failed, what passed only on its second take, and one line of
// figures; fails if one of them did.
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

const mocha = createRequire(import.meta.url).resolve('mocha/bin/mocha.js')
const reporter = fileURLToPath(new URL('./spec-with-second-takes.cjs', import.meta.url))
const filesOf = (name) =>
  readdirSync(`dist/test/${name}`, { recursive: true })
    .filter((file) => file.endsWith('.test.js'))
    .map((file) => `dist/test/${name}/${file}`)
    .sort()

const LANES = 3
/** Rooms whose files are long and start processes of their own: a suite per file. Of the others the room is one. */
const LONG = ['end-to-end', 'contract', 'cli']
const folders = readdirSync('dist/test', { withFileTypes: true }).filter((entry) => entry.isDirectory())
const rooms = folders.map(({ name }) => name)
const long = LONG.filter((name) => rooms.includes(name)).flatMap((name) => filesOf(name).map((file) => [file]))
const quick = rooms
  .filter((name) => !LONG.includes(name))
  .map(filesOf)
  .filter((files) => files.length > 0)

// Most tests share two cores with the processes they start and with each other: one may fail once, and then it is told.
const results = []
// One lane begins with the quick ones, which compute; the others wait meanwhile.
const takeLong = () => long.shift() ?? quick.shift()
const takeQuick = () => quick.shift() ?? long.shift()
await Promise.all([takeQuick, ...Array(LANES - 1).fill(takeLong)].map(walk))

const sum = (pattern) => results.reduce((total, { text }) => total + Number(pattern.exec(text)?.[1] ?? 0), 0)
const failed = sum(/^ {2}(\d+) failing$/m)
const again = sum(/^ {2}(\d+) on the second take$/m)
for (const { text } of results) {
  process.stdout.write(/^ {2}\d+ (?:failing|on the second take)$[\s\S]*/m.exec(text)?.[0] ?? '')
}
process.stdout.write(`\n${sum(/^ {2}(\d+) passing/m)} passed, ${failed} failed, ${again} on the second take\n`)
process.exitCode = results.every(({ code }) => code === 0) ? 0 : 1

async function walk(take) {
  for (let files = take(); files !== undefined; files = take()) results.push(await run(files))
}

/** Its output is held back until it ends, so that those of the lanes do not mix. */
function run(files) {
  return new Promise((resolve) => {
    const options = ['--retries', '1', '--reporter', reporter]
    const child = spawn(process.execPath, [mocha, ...options, ...files], { stdio: ['ignore', 'pipe', 'inherit'] })
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (chunk) => {
      text += chunk
    })
    child.on('close', (code) => {
      process.stdout.write(text)
      resolve({ code, text })
    })
  })
}
