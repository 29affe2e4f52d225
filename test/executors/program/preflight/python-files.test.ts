import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect } from 'chai'
import { silentLogger } from '../../../../src/base/logger/logger.js'
import type { PreflightPlan } from '../../../../src/executors/program/preflight/plan.js'
import { runPreflight } from '../../../../src/executors/program/preflight/run-preflight.js'
import { useTemporaryFolder } from '../../../helpers/temporary-folder.js'

type Files = Readonly<Record<string, string | Buffer>>
type Case = {
  readonly files: Files
  /** What is started; `python train.py` without it. */
  readonly command?: PreflightPlan['commands'][number]
  readonly env?: Readonly<Record<string, string>>
  /** Modules that a program did not find when it failed. */
  readonly reported?: readonly string[]
  /** A part of the reason; without it the preflight passes. */
  readonly fails?: RegExp
  /** A part of what it could not find out; without it there is none. */
  readonly notes?: RegExp
}

const SITE = 'lib/site-packages'
const SITE_ENV = { PYTHONPATH: SITE }

describe('default preflight', function () {
  this.timeout(20_000)
  const folder = useTemporaryFolder()

  async function check({ files, command = ['python', 'train.py'], env = {}, reported = [] }: Case) {
    const trainer = join(folder.path, 'trainer')
    const inTrainer = (paths: string) =>
      paths
        .split(':')
        .map((path) => join(trainer, path))
        .join(':')
    await mkdir(trainer, { recursive: true })
    for (const [name, content] of Object.entries(files)) {
      await mkdir(dirname(join(trainer, name)), { recursive: true })
      await writeFile(join(trainer, name), content)
      if (typeof content === 'string' && content.startsWith('#!')) await chmod(join(trainer, name), 0o755)
    }
    const variables = Object.entries(env).map(([name, value]) => [
      name,
      name === 'PYTHONPATH' ? inTrainer(value) : value,
    ])
    const definition = { name: 't', folder: trainer, python: 'python3', env: Object.fromEntries(variables), errors: [] }
    return runPreflight(
      { kind: 'trainer', name: 't', gpus: 0, definition, own: undefined, commands: [command] },
      {
        workspace: join(folder.path, 'workspace'),
        env: { PATH: process.env.PATH },
        gpus: [],
        owner: 'test:1:preflight',
        timeoutMs: 15_000,
        reported: new Set(reported),
        signal: new AbortController().signal,
      },
      { log: silentLogger() },
    )
  }

  const cases: Readonly<Record<string, Case>> = {
    'passes a script whose modules are found': {
      files: { 'train.py': 'import json\nimport os.path\nfrom xml.dom import minidom\n' },
    },
    'passes a script that imports what lies beside it': {
      files: { 'train.py': 'import helper\nfrom tools.boxes import iou\n', 'helper.py': '', 'tools/boxes.py': '' },
    },
    'passes a script that imports from PYTHONPATH': {
      files: { 'train.py': 'import mine\n', 'more/mine.py': '' },
      env: { PYTHONPATH: 'more' },
    },
    'passes a namespace package': {
      files: { 'train.py': 'import space.part\n', 'more/space/part.py': '' },
      env: { PYTHONPATH: 'more' },
    },
    'passes the helper of loopfleet': { files: { 'train.py': 'import loopfleet_events\n' } },
    'passes imports of which one is optional': {
      files: {
        'train.py':
          'try:\n    import cuda_extra\nexcept ImportError:\n    cuda_extra = None\nif False:\n    import nothing_b\ndef f():\n    import nothing_c\n',
      },
    },
    'passes a script in another encoding': {
      files: { 'train.py': Buffer.from('# -*- coding: latin-1 -*-\nname = "K\xf6ln"\nimport json\n', 'latin1') },
    },
    'passes a script with a byte order mark': { files: { 'train.py': '\ufeffimport json\n' } },
    'passes a folder with a __main__.py': {
      files: { 'app/__main__.py': 'import beside\n', 'app/beside.py': '' },
      command: ['python', '{trainer}/app'],
    },
    'passes a package by -m': {
      files: { 'lib/pack/__init__.py': '1 / 0\n', 'lib/pack/run.py': 'from . import x\nimport json\n' },
      command: ['python', '-m', 'pack.run'],
      env: { PYTHONPATH: 'lib' },
      notes: /relative import/,
    },
    'passes code by -c': { files: {}, command: ['python', '-c', 'import json, sys'] },
    'passes a json.py of the trainer that is nobody else’s business': {
      files: {
        'train.py': 'import json\n',
        'more/json.py': '1 / 0\n',
        'more/ast.py': '1 / 0\n',
        'more/warnings.py': '',
      },
      env: { PYTHONPATH: 'more' },
    },
    'passes a script with a finder of its environment, as an editable installation has': {
      files: {
        'train.py': 'import edited\n',
        'more/sitecustomize.py': [
          'import importlib.machinery, sys',
          'class Finder:',
          '    @staticmethod',
          '    def find_spec(name, path=None, target=None):',
          '        if name == "edited": return importlib.machinery.ModuleSpec(name, None)',
          'sys.meta_path.append(Finder)',
        ].join('\n'),
      },
      env: { PYTHONPATH: 'more' },
    },
    'passes a launcher': {
      files: { 'launch.sh': '#!/bin/sh\nexec python3 "$@"\n' },
      command: ['{trainer}/launch.sh', 'x.py'],
      notes: /what launch.sh starts is not checked/,
    },
    'passes a binary': { files: {}, command: ['true'], notes: /what true starts is not checked/ },

    'fails a script that is missing': { files: {}, fails: /cannot begin: there is no .*\/train\.py\.$/ },
    'fails a module that is missing': {
      files: { 'train.py': '"""Doc."""\nimport json\nimport nothing_a\n' },
      fails: /python3 \(Python 3[\d.]+\) finds no module nothing_a, which train\.py imports in line 3\.$/,
    },
    'fails a from-import that is missing': {
      files: { 'train.py': 'from nothing_a.b import c\n' },
      fails: /no module nothing_a,.* line 1/,
    },
    'fails a module after settings that change no search': {
      files: {
        'train.py':
          "import logging\nimport os\nfrom pathlib import Path\nROOT = Path(__file__).resolve().parent\nos.environ['A'] = '1'\nlog = logging.getLogger(__name__)\nimport nothing_a\n",
      },
      fails: /nothing_a.* line 7/,
    },
    'fails a module after a local one that changes no search': {
      files: { 'train.py': 'import helper\nimport nothing_a\n', 'helper.py': 'import json\nclass A:\n    b = 1\n' },
      fails: /nothing_a/,
    },
    'fails a module after a package that is known to bring no other': {
      files: { 'train.py': 'import numpy\nimport nothing_a\n', [`${SITE}/numpy/__init__.py`]: '' },
      env: SITE_ENV,
      fails: /nothing_a/,
    },
    'fails with each module once, and the line of its first import': {
      files: { 'train.py': 'import nothing_a\nimport nothing_b\nfrom nothing_a import c\n' },
      fails: /does not find the modules nothing_a \(line 1\), nothing_b \(line 2\), which train\.py imports\.$/,
    },
    'passes a package that sets its own __spec__ to None': {
      files: { 'train.py': 'import odd\nimport odd\n', 'odd.py': '__spec__ = None\n' },
    },
    'passes a namespace package of pkgutil that lies in two folders': {
      files: {
        'train.py': 'import space.b\n',
        'one/space/__init__.py': "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n",
        'one/space/a/__init__.py': '',
        'two/space/__init__.py': "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n",
        'two/space/b/__init__.py': '',
      },
      ...{ env: { PYTHONPATH: 'one:two' }, notes: /space\.b was not found, but space may make it/ },
    },
    'fails a module by -m': {
      files: {},
      command: ['python', '-m', 'nothing_a.train'],
      fails: /no module nothing_a, which the command starts/,
    },
    'fails code by -c': {
      files: {},
      command: ['python', '-c', 'import nothing_a'],
      fails: /no module nothing_a, which the code of the command imports in line 1/,
    },
    'fails a script that this interpreter cannot parse': {
      files: { 'train.py': 'import json\ndef f(:\n' },
      fails: /train\.py, line 2: SyntaxError/,
    },
    'fails a program that is not there': {
      files: {},
      command: ['no-such-trainer', 'x'],
      fails: /"no-such-trainer" was not found on the PATH/,
    },
    'fails a script whose interpreter is gone, as in an environment that was moved': {
      files: { launch: '#!/moved/venv/bin/python3\nimport json\n' },
      command: ['{trainer}/launch'],
      fails: /launch is started by \/moved\/venv\/bin\/python3, which was not found on this host\.$/,
    },
    'fails a launcher in Python whose package is gone': {
      files: { launch: '#!/usr/bin/env python3\nimport re\nimport sys\nfrom nothing_a.run import main\n' },
      command: ['{trainer}/launch', 'train.py'],
      fails: /no module nothing_a, which launch imports in line 4/,
    },

    'passes a module that sys.path may bring': {
      files: { 'train.py': "import sys\nsys.path.insert(0, '/elsewhere')\nimport nothing_a\n" },
      notes: /line 3: nothing_a was not found, but line 2 may change where modules are found/,
    },
    'passes a module that a change by assignment may bring': {
      files: { 'train.py': 'import sys\nsys.path[0:0] = ["/elsewhere"]\nimport nothing_a\n' },
      notes: /nothing_a/,
    },
    'passes a module that a renamed path may bring': {
      files: { 'train.py': 'from sys import path as p\np += ["/elsewhere"]\nimport nothing_a\n' },
      notes: /nothing_a/,
    },
    'passes a module that an installation before it may bring': {
      files: { 'train.py': "import os\nos.system('pip install nothing_a')\nimport nothing_a\n" },
      notes: /nothing_a/,
    },
    'passes a module that a condition before it may bring': {
      files: { 'train.py': 'import sys\nif True:\n    sys.path.append("x")\nimport nothing_a\n' },
      notes: /nothing_a/,
    },
    'passes a module that a function before it may bring': {
      files: { 'train.py': 'import sys\ndef f():\n    sys.path.append("x")\nf()\nimport nothing_a\n' },
      notes: /nothing_a/,
    },
    'passes a module that a decorator before it may bring': {
      files: {
        'train.py': 'import helper\n@helper.now\ndef f():\n    pass\nimport nothing_a\n',
        'helper.py': 'import sys\ndef now(f):\n    sys.path.append("x")\n',
      },
      notes: /nothing_a/,
    },
    'passes a module that a local one before it may bring': {
      files: {
        'train.py': 'import _paths\nimport nothing_a\n',
        '_paths.py': 'import sys\nsys.path.insert(0, "lib")\n',
      },
      notes: /_paths \(line 2 may change/,
    },
    'passes a module that a local one of a local one may bring': {
      files: {
        'train.py': 'from tools import a\nimport nothing_a\n',
        'tools/__init__.py': '',
        'tools/a.py': 'import _paths\n',
        '_paths.py': 'import sys\nsys.path.insert(0, "lib")\n',
      },
      notes: /nothing_a/,
    },
    'passes a module that a package before it may bring': {
      files: { 'train.py': 'import bpy\nimport mathutils\n', [`${SITE}/bpy/__init__.py`]: '' },
      env: SITE_ENV,
      notes: /mathutils was not found, but bpy, which is imported before, may bring it/,
    },
    'passes a module of a package that makes it when it is imported': {
      files: { 'train.py': 'from six.moves import urllib\n', [`${SITE}/six.py`]: '' },
      env: SITE_ENV,
      notes: /six\.moves was not found, but six may make it/,
    },
    'fails a module that a package may bring, once a program has not found it': {
      files: { 'train.py': 'import bpy\nimport mathutils\n', [`${SITE}/bpy/__init__.py`]: '' },
      ...{ env: SITE_ENV, reported: ['mathutils'], fails: /no module mathutils/ },
    },
    'passes a module that sys.path may bring although a program has not found it, since orders may differ': {
      files: { 'train.py': "import sys\nsys.path.insert(0, '/elsewhere')\nimport nothing_a\n" },
      ...{ reported: ['nothing_a'], notes: /nothing_a/ },
    },
    'passes what is compiled': { files: { 'train.py': Buffer.from('\0\0compiled') }, notes: /no source text/ },
    'passes a Python that is too old to be asked': {
      files: {
        'train.py': 'import nothing_a\n',
        'more/sitecustomize.py': 'import importlib.util\ndel importlib.util.find_spec\n',
      },
      ...{ env: { PYTHONPATH: 'more' }, notes: /too old to find modules/ },
    },
  }
  for (const [title, each] of Object.entries(cases)) {
    it(title, async () => {
      const result = await check(each)

      if (each.fails === undefined) expect(result.passed, JSON.stringify(result)).to.equal(true)
      else expect(result).to.have.property('reason').that.matches(each.fails)
      if (each.notes !== undefined)
        expect(result)
          .to.have.property('notes')
          .that.satisfies((notes: string[]) => notes.some((note) => each.notes?.test(note)), JSON.stringify(result))
      else if (each.fails === undefined) expect(result).to.have.property('notes').that.is.empty
    })
  }

  it('passes a script that a link names, beside whose target its modules lie', async () => {
    await mkdir(join(folder.path, 'trainer'), { recursive: true })
    await mkdir(join(folder.path, 'real'))
    await writeFile(join(folder.path, 'real/train.py'), 'import beside\n')
    await writeFile(join(folder.path, 'real/beside.py'), '')
    await symlink(join(folder.path, 'real/train.py'), join(folder.path, 'trainer/train.py'))

    expect(await check({ files: {} })).to.deep.equal({ passed: true, notes: [] })
  })

  it('fails an interpreter that is a link to one that is gone, and names it', async () => {
    await mkdir(join(folder.path, 'trainer'), { recursive: true })
    await symlink('/gone/python3.11', join(folder.path, 'trainer/python3'))
    await symlink('python3', join(folder.path, 'trainer/python'))

    const result = await check({ files: { 'train.py': '' }, command: ['./python', '{trainer}/train.py'] })

    expect(result)
      .to.have.property('reason')
      .that.matches(/python" is a link to \/gone\/python3\.11, which was not found;/)
  })
})
