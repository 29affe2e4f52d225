import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { pythonHelperFolder } from '../../src/executors/contract/environment.js'
import { parseEventLine } from '../../src/executors/contract/events.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'

const execute = promisify(execFile)

describe('loopfleet_events.py', function () {
  this.timeout(20_000)
  const folder = useTemporaryFolder()

  async function python(lines: readonly string[], env: Record<string, string> = {}): Promise<void> {
    const code = ['import loopfleet_events as events', ...lines].join('\n')
    const cwd = folder.path
    const path = { PATH: process.env.PATH ?? '', PYTHONPATH: pythonHelperFolder, PYTHONDONTWRITEBYTECODE: '1' }
    await execute('python3', ['-c', code], { cwd, env: { ...path, ...env } })
  }

  const events = () => join(folder.path, 'events.jsonl')

  it('writes lines that are read as events', async () => {
    const model = "events.model(3, {'f': [pathlib.Path('w/m.bin')]}, {'c1': {'tp': 1, 'fp': 2, 'fn': 3}}, f1=0.4)"
    await python(
      [
        'import pathlib',
        "events.progress(0.25, epoch=1, epochs=4, message='half a \u00fc\\nline')",
        "events.metrics(2, loss=0.5, broken=float('inf'))",
        model,
        "events.error(ValueError('no'))",
      ],
      { LOOPFLEET_EVENTS: events() },
    )

    const lines = (await readFile(events(), 'utf8')).trim().split('\n')

    expect(lines.map((line) => parseEventLine(line))).to.deep.equal([
      { ok: true, event: { event: 'progress', progress: 0.25, epoch: 1, epochs: 4, message: 'half a ü\nline' } },
      { ok: true, event: { event: 'metrics', epoch: 2, values: { loss: 0.5 } } },
      {
        ok: true,
        event: {
          event: 'model',
          epoch: 3,
          files: { f: ['w/m.bin'] },
          confusion_matrix: { c1: { tp: 1, fp: 2, fn: 3 } },
          values: { f1: 0.4 },
        },
      },
      { ok: true, event: { event: 'error', message: 'no' } },
    ])
  })

  it('does nothing when the program was started by hand', async () => {
    await python(['events.progress(0.5)', "events.error('x')"])
  })

  it('never mixes the lines of several processes', async () => {
    await python(
      [
        'import os',
        'children = []',
        'for child in range(4):',
        '    pid = os.fork()',
        '    if pid == 0:',
        "        for epoch in range(200): events.metrics(epoch, **{'v' * 500: child})",
        '        os._exit(0)',
        '    children.append(pid)',
        'for pid in children: os.waitpid(pid, 0)',
      ],
      { LOOPFLEET_EVENTS: events() },
    )

    const lines = (await readFile(events(), 'utf8')).trim().split('\n')

    expect(lines).to.have.lengthOf(800)
    expect(lines.every((line) => JSON.parse(line).event === 'metrics')).to.equal(true)
  })
})
