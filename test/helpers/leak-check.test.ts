import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'

describe('the leak check', () => {
  it('blames exactly the suites that leave something behind', async function () {
    this.timeout(60_000)
    const failures = await failuresOf(new URL('../fixtures/leaks/leaves-things-behind.mocha', import.meta.url))

    expect(Object.keys(failures)).to.have.lengthOf(3)
    expect(failures['a suite with a server']).to.match(/a server on port \d+/)
    expect(failures['a suite with a child']).to.match(/the child process \d+ \(sleep 15\)/)
    expect(failures['a suite with a thread']).to.match(/the worker thread \d+/)
  })
})

/** The messages of the failed checks by suite, from a mocha of its own. */
async function failuresOf(script: URL): Promise<Record<string, string>> {
  const ending = import.meta.url.endsWith('.ts') ? '.ts' : '.js'
  const mocha = join(dirname(createRequire(import.meta.url).resolve('mocha')), 'bin', 'mocha.js')
  const check = fileURLToPath(new URL(`./leak-check${ending}`, import.meta.url))
  const args = [mocha, '--no-config', '--exit', '--reporter=json', `--require=${check}`, fileURLToPath(script) + ending]
  const source = ending === '.ts' ? ['--import', 'tsx'] : []
  const output = await new Promise<string>((resolve) => {
    execFile(process.execPath, [...source, ...args], (_error, stdout) => resolve(stdout))
  })
  const report: { failures: { fullTitle: string; err: { message: string } }[] } = JSON.parse(output)
  const entries = report.failures.map(({ fullTitle, err }) => [fullTitle.split(' "after all"')[0] ?? '', err.message])
  return Object.fromEntries(entries)
}
