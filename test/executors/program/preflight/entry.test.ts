import { expect } from 'chai'
import type { CommandTemplate } from '../../../../src/executors/definition/command-schema.js'
import { entryOf } from '../../../../src/executors/program/preflight/entry.js'

const definition = { name: 'mine', folder: '/srv/mine', python: 'venv/bin/python' }
const own = '/srv/mine/venv/bin/python'
const start = { kind: 'start', target: '' } as const

describe('entry of a command', () => {
  const cases: readonly [string, CommandTemplate, ReturnType<typeof entryOf>][] = [
    [
      'a script beside the file',
      ['python', 'train.py', '--epochs', '3'],
      python({ kind: 'script', target: '/srv/mine/train.py' }),
    ],
    ['a script by its folder', ['python', '{trainer}/a/b.py'], python({ kind: 'script', target: '/srv/mine/a/b.py' })],
    ['a script of a converter', ['python', '{converter}/c.py'], python({ kind: 'script', target: '/srv/mine/c.py' })],
    [
      'options before it',
      ['python', '-u', '-Bs', 'train.py'],
      python({ flags: ['-s'], kind: 'script', target: '/srv/mine/train.py' }),
    ],
    [
      'an option that changes the search',
      ['python', '-I', 'train.py'],
      python({ flags: ['-I'], kind: 'script', target: '/srv/mine/train.py' }),
    ],
    [
      'an option with a value',
      ['python', '-Xdev', '-W', 'error', '{trainer}/t.py'],
      python({ kind: 'script', target: '/srv/mine/t.py' }),
    ],
    ['a module', ['python', '-m', 'package.module', 'x.py'], python({ kind: 'module', target: 'package.module' })],
    ['a module in the same word', ['python', '-ummodule'], python({ kind: 'module', target: 'module' })],
    ['code', ['python', '-c', 'import torch'], python({ kind: 'code', target: 'import torch' })],
    ['standard input', ['python', '-'], python(start)],
    ['no script', ['python', '--version'], python(start)],
    ['a script whose first line is passed over', ['python', '-x', 'train.py'], python(start)],
    ['a script that the workspace has', ['python', '{workspace}/train.py'], python(start)],
    ['a script that the order names', ['python', '{model_variant}.py'], python(start)],
    [
      'a condition before the script',
      // biome-ignore lint/suspicious/noThenProperty: the key of the trainer file, never awaited
      ['python', { if: 'gpus', then: ['-m', 'torch.distributed.run'], else: [] }, 'train.py'],
      python(start),
    ],
    [
      'another interpreter',
      ['/opt/py/bin/python3.12', '{trainer}/t.py'],
      { program: '/opt/py/bin/python3.12', python: { flags: [], kind: 'script', target: '/srv/mine/t.py' } },
    ],
    [
      'another interpreter and a script of the workspace',
      ['python3', 'made.py'],
      { program: 'python3', python: { flags: [], ...start } },
    ],
    [
      'a launcher',
      ['torchrun', '--nproc-per-node', '2', '{trainer}/train.py'],
      { program: 'torchrun', python: undefined },
    ],
    ['a program beside the file', ['./train', '--fast'], { program: '/srv/mine/train', python: undefined }],
    ['a program of the workspace', ['{workspace}/train'], { program: undefined, python: undefined }],
  ]
  for (const [what, command, entry] of cases) {
    it(`finds ${what}`, () => {
      expect(entryOf(definition, command)).to.deep.equal(entry)
    })
  }
})

function python(entry: { flags?: string[]; kind: 'script' | 'module' | 'code' | 'start'; target: string }) {
  return { program: own, python: { flags: [], ...entry } }
}
