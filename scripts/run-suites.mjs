// Runs the compiled tests as three mocha processes side by side: most of what the end-to-end and contract tests do is
// waiting for other processes, so others fit in between. Ends with what failed, what passed only on its second
// take, and one line of figures; fails if one of them did.
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

const folders = readdirSync('dist/test', { withFileTypes: true }).filter((entry) => entry.isDirectory())
const fleets = folders.some(({ name }) => name === 'end-to-end') ? filesOf('end-to-end') : []
const others = folders.map(({ name }) => name).filter((name) => !['contract', 'cli', 'end-to-end'].includes(name))
const suites = [
  { live: true, files: [...filesOf('contract'), ...filesOf('cli'), ...fleets.filter((_, index) => index % 2 === 0)] },
  { live: false, files: fleets.filter((_, index) => index % 2 === 1) },
  { live: false, files: others.flatMap(filesOf) },
]

// Most tests share two cores with the processes they start and with each other: one may fail once, and then it is told.
const results = await Promise.all(suites.map(run))
process.stdout.write(results.map(({ held }) => held).join(''))

const sum = (pattern) => results.reduce((total, { text }) => total + Number(pattern.exec(text)?.[1] ?? 0), 0)
const failed = sum(/^ {2}(\d+) failing$/m)
const again = sum(/^ {2}(\d+) on the second take$/m)
for (const { text } of results) {
  process.stdout.write(/^ {2}\d+ (?:failing|on the second take)$[\s\S]*/m.exec(text)?.[0] ?? '')
}
process.stdout.write(`\n${sum(/^ {2}(\d+) passing/m)} passed, ${failed} failed, ${again} on the second take\n`)
process.exitCode = results.every(({ code }) => code === 0) ? 0 : 1

/** Live output goes through as it comes; that of the others is held back so that they do not mix. */
function run({ files, live }) {
  return new Promise((resolve) => {
    const options = ['--retries', '1', '--reporter', reporter]
    const child = spawn(process.execPath, [mocha, ...options, ...files], { stdio: ['ignore', 'pipe', 'inherit'] })
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (chunk) => {
      text += chunk
      if (live) process.stdout.write(chunk)
    })
    child.on('close', (code) => resolve({ code, text, held: live ? '' : text }))
  })
}
