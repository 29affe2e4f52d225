import { cpSync, statSync, symlinkSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import { execa } from 'execa'
import { packageRoot } from '../../cli/run-cli.js'

/** What the sources need around them to be compiled, checked and run. */
const AROUND = ['package.json', 'tsconfig.json', '.dependency-cruiser.cjs', 'biome.json', 'redis.conf', 'scripts']
/** What the tests of this project bring along for a training of the copy. */
const HOST = 'test/workers/trainings/a-host.ts'
/** Only these are compiled; what they import follows. */
const TESTS = ['test/workers', 'test/queue', 'test/helpers']

/** A copy of the sources that recipes are applied to. */
export type SourceCopy = {
  readonly folder: string
  compile(): Promise<void>
  /** The laws of import. */
  checkLaws(): Promise<void>
  /** Format and lint of these files. */
  lint(files: readonly string[]): Promise<void>
  /** Loads a compiled module of the copy, which is another than ours. */
  load<Module>(file: string): Promise<Module>
}

export async function copySources(folder: string): Promise<SourceCopy> {
  const isSource = (path: string) => statSync(path).isDirectory() || path.endsWith('.ts')
  for (const name of AROUND) cpSync(join(packageRoot, name), join(folder, name), { recursive: true })
  cpSync(join(packageRoot, 'src'), join(folder, 'src'), { recursive: true })
  for (const name of TESTS) {
    cpSync(join(packageRoot, name), join(folder, name), { recursive: true, filter: isSource })
  }
  symlinkSync(join(packageRoot, 'node_modules'), join(folder, 'node_modules'))
  const settings = JSON.parse(await readFile(join(folder, 'tsconfig.json'), 'utf8'))
  Object.assign(settings.compilerOptions, { incremental: false, declaration: false, sourceMap: false })
  delete settings.compilerOptions.tsBuildInfoFile
  settings.include = ['src/**/*.ts', HOST]
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(settings))

  const run = async (program: string, ...args: readonly string[]) => {
    const command = join(packageRoot, 'node_modules/.bin', program)
    const { exitCode, all } = await execa(command, [...args], { cwd: folder, all: true, reject: false })
    if (exitCode !== 0) throw new Error(`${program} says of the copy:\n${all}`)
  }
  return {
    folder,
    async compile() {
      await run('tsc', '-p', '.', '--singleThreaded') // with several threads it works more in all
      await execa(process.execPath, ['scripts/copy-assets.mjs'], { cwd: folder })
    },
    checkLaws: () => run('depcruise', 'src', '--config', '.dependency-cruiser.cjs'),
    lint: (files) => run('biome', 'check', '--vcs-enabled=false', ...files),
    load: (file) => import(pathToFileURL(join(folder, 'dist', file)).href),
  }
}
