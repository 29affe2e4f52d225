import { spawnSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import fc from 'fast-check'
import { silentLogger } from '../../../../src/base/logger/logger.js'
import { runPreflight } from '../../../../src/executors/program/preflight/run-preflight.js'
import { useTemporaryFolder } from '../../../helpers/temporary-folder.js'

const LATE = '__file__.rsplit("/", 1)[0] + "/late"'

/** Ways by which `late`, which lies in no folder that is searched, can be found all the same. */
const WAYS = [
  `import sys\nsys.path.append(${LATE})`,
  `import sys\nsys.path += [${LATE}]`,
  `import sys\nsys.path[0:0] = [${LATE}]`,
  `import sys as system\nsystem.path.insert(0, ${LATE})`,
  `from sys import path as found\nfound.append(${LATE})`,
  `from sys import *\npath.append(${LATE})`,
  `import os\nos.sys.path.append(${LATE})`,
  `import sys\ngetattr(sys, "path").append(${LATE})`,
  `import sys\nsetattr(sys, "path", [${LATE}])`,
  `import sys\nvars(sys)["path"].append(${LATE})`,
  `import sys\n[sys.path.append(each) for each in [${LATE}]]`,
  `import sys\n(lambda: sys.path.append(${LATE}))()`,
  `import sys\ndef add():\n    sys.path.append(${LATE})\nadd()`,
  `import sys\ndef add(_):\n    sys.path.append(${LATE})\n    return ""\nimport re\nre.sub("a", add, "a")`,
  `import sys\ndef add(_):\n    sys.path.append(${LATE})\nalias = add\nimport json\njson.loads("{}", object_hook=alias)`,
  `import sys\nadd = lambda _: sys.path.append(${LATE})\n@add\ndef f():\n    pass`,
  `import sys\nclass A:\n    sys.path.append(${LATE})`,
  `import sys\nclass M(type):\n    def __init__(self, *_):\n        sys.path.append(${LATE})\nclass A(metaclass=M):\n    pass`,
  `import sys\nclass A:\n    def __init_subclass__(self):\n        sys.path.append(${LATE})\nclass B(A):\n    pass`,
  `import sys\nif sys.path:\n    sys.path.append(${LATE})`,
  `import sys\ntry:\n    raise ValueError\nexcept ValueError:\n    sys.path.append(${LATE})`,
  `import sys\nfor each in [${LATE}]:\n    sys.path.append(each)`,
  `import sys\nif sys.path.append(${LATE}) is None:\n    pass`,
  `exec('import sys; sys.path.append(' + repr(${LATE}) + ')')`,
  `import site\nsite.addsitedir(${LATE})`,
  `import sys, types\nsys.modules["late"] = types.ModuleType("late")`,
  'import adds_at_import',
  'from pack import adds',
  'import adds_by_a_class',
  'from adds_when_called import add\nadd()',
  'import adds_when_called\nadds_when_called.add()',
  'from adds_when_called import Base\nclass A(Base):\n    pass',
  'import adds_when_asked\nx = adds_when_asked.anything',
] as const

/** What does not matter for it. */
const HARMLESS = [
  'import json, os.path',
  'from pathlib import Path\nROOT = Path(__file__).resolve().parent',
  'import os\nos.environ["OMP_NUM_THREADS"] = "1"',
  'import logging\nlog = logging.getLogger(__name__)',
  'import beside',
  'try:\n    import not_there\nexcept ImportError:\n    not_there = None',
  'class Plain:\n    size = 3\n    def f(self):\n        return 1',
  'def f(x=1):\n    import sys\n    sys.path.append("nowhere")',
  'if __name__ == "__main__":\n    x = 1',
] as const

const FILES = {
  'late/late.py': '',
  'beside.py': 'import json\n',
  'adds_at_import.py': `import sys\nsys.path.append(${LATE})\n`,
  'pack/__init__.py': '',
  'pack/adds.py': 'from .more import x\n',
  'pack/more.py': `import sys\nx = sys.path.append(${LATE.replace('late', '../late')})\n`,
  'adds_by_a_class.py': `import sys\nclass A:\n    x = [sys.path.append(${LATE})]\n`,
  'adds_when_called.py': [
    'import sys',
    'def add():',
    `    sys.path.append(${LATE})`,
    'class Base:',
    '    def __init_subclass__(cls):',
    '        add()',
  ].join('\n'),
  'adds_when_asked.py': `import sys\ndef __getattr__(name):\n    sys.path.append(${LATE})\n    return 1\n`,
}

describe('default preflight of a module that something else brings', function () {
  this.timeout(120_000)
  const folder = useTemporaryFolder()

  beforeEach(async () => {
    for (const name of ['late', 'pack']) await mkdir(join(folder.path, name))
    for (const [name, text] of Object.entries(FILES)) await writeFile(join(folder.path, name), text)
  })

  for (const way of WAYS) {
    it(`passes: ${way.replaceAll('\n', '; ').slice(0, 90)}`, async () => {
      const script = `${way}\nimport late\n`

      const [ends, result] = [await run(script), await preflight()]

      expect(ends, 'the script itself').to.equal('')
      expect(result).to.include({ passed: true })
    })
  }

  it('never fails a script that runs, and fails none for a module that Python finds', async () => {
    const statements = fc.array(fc.oneof(fc.constantFrom(...HARMLESS), fc.constantFrom(...WAYS)), { maxLength: 3 })
    const last = fc.constantFrom('import late', 'import nothing_at_all')
    await fc.assert(
      fc.asyncProperty(statements, last, async (before, end) => {
        const ends = await run(`${[...before, end].join('\n')}\n`)
        const result = await preflight()

        if (!result.passed)
          expect(ends, result.reason).to.match(/ModuleNotFoundError: No module named '(late|nothing_at_all)'/)
      }),
      { numRuns: 40 },
    )
  })

  it('fails what is missing behind all that is harmless', async () => {
    const ends = await run(`${HARMLESS.join('\n')}\nimport nothing_at_all\n`)

    expect(ends).to.contain("No module named 'nothing_at_all'")
    expect(await preflight()).to.include({ passed: false })
  })

  /** Writes the script and runs it; answers the last line of its errors. */
  async function run(script: string): Promise<string> {
    await writeFile(join(folder.path, 'train.py'), script)
    const { stderr } = spawnSync('python3', [join(folder.path, 'train.py')], { encoding: 'utf8' })
    return stderr.trim().split('\n').at(-1) ?? ''
  }

  function preflight() {
    const definition = { name: 't', folder: folder.path, python: 'python3', env: {}, errors: [] }
    return runPreflight(
      { kind: 'trainer', name: 't', gpus: 0, definition, own: undefined, commands: [['python', 'train.py']] },
      {
        ...{
          workspace: join(folder.path, 'workspace'),
          env: { PATH: process.env.PATH },
          gpus: [],
          owner: 'test:1:preflight',
        },
        ...{ timeoutMs: 15_000, reported: new Set<string>(), signal: new AbortController().signal },
      },
      { log: silentLogger() },
    )
  }
})
