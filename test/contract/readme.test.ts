import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { execa } from 'execa'
import { z } from 'zod'
import { createProgram } from '../../src/cli/program.js'
import { parseEventLine } from '../../src/executors/contract/events.js'
import { loadTrainerDefinition } from '../../src/executors/definition/definition.js'
import { packageRoot } from '../cli/run-cli.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { knownVariables, problemOf, type ShellLine, shellLines, wordsOf } from './command-lines.js'

const pages = [
  'README.md',
  'CONTRIBUTING.md',
  'docs/local-loop.md',
  'docs/guides/annotator.md',
  'docs/guides/first-training.md',
  'docs/guides/converter.md',
  'docs/guides/your-own-trainer.md',
  'docs/guides/existing-script.md',
  'docs/guides/moving-from-the-python-library.md',
  'docs/guides/docker.md',
  'docs/guides/detector-at-the-edge.md',
  'docs/guides/two-hosts.md',
  'examples/shapes-quantize/README.md',
  'examples/shapes-trainer/README.md',
]

describe('the command lines in the pages', () => {
  for (const page of pages) {
    it(`are what the program understands: ${page}`, async () => {
      const lines = await shellLines(page)
      expect(lines, 'no command found').not.to.be.empty

      const problems = await Promise.all(lines.flatMap(toCommands).map(problemOfCommand))

      expect(problems.filter((problem) => problem !== undefined)).to.deep.equal([])
    })
  }

  it('would be noticed if they were wrong', async () => {
    const wrong = [
      'loopfleet trian',
      'loopfleet up --trainer x.yaml --seat 2',
      'npm run dmeo',
      'LOOP_HOTS=a loopfleet status',
    ]

    for (const line of wrong) {
      const [words] = toCommands({ file: 'here', line })
      expect(await problemOfCommand(words ?? []), line).to.be.a('string')
    }
  })
})

describe('README.md', () => {
  const folder = useTemporaryFolder()

  it('names every command in its table', async () => {
    const readme = await readFile(join(packageRoot, 'README.md'), 'utf8')

    const rows = readme.split('\n').filter((row) => row.startsWith('| `loopfleet'))
    for (const { name } of createProgram().commands.map((command) => ({ name: command.name() }))) {
      expect(rows.join('\n')).to.contain(`\`loopfleet ${name}\``)
    }
  })

  it('shows a trainer that trains', async () => {
    const readme = await readFile(join(packageRoot, 'README.md'), 'utf8')
    const block = (language: string) => new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'ms').exec(readme)?.[1] ?? ''
    const workspace = join(folder.path, 'workspace')
    await mkdir(workspace)
    await writeFile(join(folder.path, 'trainer.yaml'), block('yaml'))
    await writeFile(join(folder.path, 'train.py'), block('python'))
    const training = { hyperparameters: {}, categories: [{ id: 'c1', name: 'cat' }] }
    await writeFile(join(workspace, 'training.json'), JSON.stringify(training))

    const definition = await loadTrainerDefinition(join(folder.path, 'trainer.yaml'))
    const events = join(workspace, 'events.jsonl')
    await execa('python3', [join(folder.path, 'train.py')], {
      cwd: workspace,
      env: { PYTHONPATH: join(packageRoot, 'src/executors/contract/python'), LOOPFLEET_EVENTS: events },
    })

    const told = (await readFile(events, 'utf8')).trimEnd().split('\n').map(parseEventLine)
    expect(told.map((line) => line.ok && line.event.event)).to.deep.equal(Array(3).fill(['model', 'progress']).flat())
    expect(told[0])
      .to.have.nested.property(`event.files.${definition.format}`)
      .that.deep.equals(['weights/1/model.bin'])
    expect(block('yaml').split('\n').length + block('python').split('\n').length).to.be.at.most(25)
  })
})

/** The commands of a line as words: `a && b` are two. */
function toCommands({ line }: ShellLine): string[][] {
  return line.split(' && ').map(wordsOf)
}

async function problemOfCommand(words: readonly string[]): Promise<string | undefined> {
  const isSetting = (word: string) => /^[A-Z_]+=/.test(word)
  const [program, ...args] = words.filter((word) => !isSetting(word) && word !== 'export')
  const strange = words.filter(isSetting).find((word) => !knownVariables.has(word.split('=')[0] ?? ''))
  if (strange !== undefined) return `${strange}: no variable of loopfleet`
  switch (program) {
    case undefined: // settings alone
    case 'git':
    case 'cd':
    case 'mkdir':
    case 'cp':
    case 'docker':
      return undefined
    case 'loopfleet':
      return problemOf(args)
    case 'npm':
      return problemOfNpm(args)
    case 'npx':
      return ['mocha', 'biome'].includes(args[0] ?? '') ? undefined : `npx ${args[0]}`
    case 'curl':
      return args.some((arg) => /^http:\/\/127\.0\.0\.1:8000\/api\//.test(arg)) ? undefined : `curl ${args.join(' ')}`
    default:
      return /(^|\/)(?:python3?|pip)$/.test(program) ? undefined : `${program}: an unknown program`
  }
}

async function problemOfNpm(args: readonly string[]): Promise<string | undefined> {
  const [verb, ...rest] = args
  if (verb === 'link' || verb === 'test') return undefined
  const [script = '', separator, ...more] = rest
  const text = await readFile(join(packageRoot, 'package.json'), 'utf8')
  const { scripts } = z.object({ scripts: z.record(z.string(), z.string()) }).parse(JSON.parse(text))
  if (verb !== 'run' || scripts[script] === undefined) return `npm ${args.join(' ')}: no such script`
  return script === 'demo' && separator === '--' ? problemOf(['demo', ...more]) : undefined
}
