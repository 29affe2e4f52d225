import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** One thing that a recipe does to `src`: a new file, or lines after a line of a file that is there. */
export type RecipeStep = { readonly file: string; readonly after?: string; readonly code: string }
export type Recipe = { readonly title: string; readonly steps: readonly RecipeStep[] }

const NEW_FILE = /New file `([^`]+)`:$/
const LINES = /In `([^`]+)`, after `([^`]+)`:$/

/** The recipes of CONTRIBUTING.md that have code; throws for code of which nobody says where it goes. */
export function readRecipes(page: string): Recipe[] {
  const [, recipes = ''] = page.split('\n## Recipes\n')
  const sections = (recipes.split('\n## ')[0] ?? '').split('\n### ').slice(1)
  return sections
    .map((section) => ({ title: section.split('\n')[0] ?? '', steps: readSteps(section) }))
    .filter(({ steps }) => steps.length > 0)
}

function readSteps(section: string): RecipeStep[] {
  const blocks = [...section.matchAll(/^(.*)\n\n```ts\n([\s\S]*?)^```$/gm)]
  const fences = section.match(/^```/gm)?.length ?? 0
  if (fences !== 2 * blocks.length) throw new Error(`"${section.split('\n')[0]}" has code without a line before it.`)
  return blocks.map(([, where = '', code = '']) => readStep(where, code))
}

function readStep(where: string, code: string): RecipeStep {
  const [, newFile] = NEW_FILE.exec(where) ?? []
  if (newFile !== undefined) return { file: newFile, code }
  const [, file, after] = LINES.exec(where) ?? []
  if (file !== undefined && after !== undefined) return { file, after, code }
  throw new Error(`"${where}" does not say in which file the code goes, and after which line.`)
}

/** The files that a recipe writes or changes. */
export function filesOf({ steps }: Recipe): string[] {
  return [...new Set(steps.map(({ file }) => file))]
}

/** Does what the recipe says below a folder; throws when a new file is there or a line is not there exactly once. */
export async function applyRecipe({ title, steps }: Recipe, folder: string): Promise<void> {
  for (const { file, after, code } of steps) {
    const path = join(folder, file)
    await mkdir(dirname(path), { recursive: true })
    if (after === undefined) await writeFile(path, code, { flag: 'wx' })
    else await writeFile(path, withLines(await readFile(path, 'utf8'), { after, code, where: `${title}: ${file}` }))
  }
}

type Addition = { readonly after: string; readonly code: string; readonly where: string }

function withLines(text: string, { after, code, where }: Addition): string {
  const lines = text.split('\n')
  const places = lines.flatMap((line, index) => (line.trim() === after ? [index] : []))
  if (places.length !== 1) throw new Error(`${where} has ${places.length} lines "${after}" instead of one.`)
  lines.splice((places[0] ?? 0) + 1, 0, ...code.trimEnd().split('\n'))
  return lines.join('\n')
}
