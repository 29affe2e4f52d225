import { readdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { hasCode } from '../../../base/index.js'
import type { TrainerDefinition } from '../../definition/index.js'

export type BestFiles = Exclude<TrainerDefinition['best'], 'events'>

/** A name that matches `best.files`, and what its star stands for. */
export type BestName = { readonly path: string; readonly star: string | undefined }

/** What its folder lists, whether there is a file behind it or not. */
export async function bestNames(workspace: string, best: Pick<BestFiles, 'files'>): Promise<BestName[]> {
  const folder = dirname(best.files)
  const expression = nameExpression(basename(best.files))
  const names = (await namesIn(join(workspace, folder))) ?? []
  return names.flatMap((name) => {
    const match = expression.exec(name)
    return match === null ? [] : [{ path: join(folder, name), star: match[1] }]
  })
}

const SHOWN = 5

/** Why a program that has ended has no model, where its trainer file is the reason: with what lies there instead. */
export async function noMatchReason(
  { best }: Pick<TrainerDefinition, 'best'>,
  workspace: string,
): Promise<string | undefined> {
  if (best === 'events' || (await bestNames(workspace, best)).length > 0) return undefined
  const folder = dirname(best.files)
  const there = await namesIn(join(workspace, folder))
  const shownFolder = folder === '.' ? 'the workspace' : folder
  const matched = `no file matched best.files ${best.files} in ${shownFolder}`
  if (there === undefined) return `${matched}, which does not exist`
  const names = there.filter((name) => !name.startsWith('.')).sort()
  if (names.length === 0) return `${matched}, which is empty`
  const more = names.length > SHOWN ? ` and ${names.length - SHOWN} more` : ''
  return `${matched}, where there is ${names.slice(0, SHOWN).join(', ')}${more}`
}

/** Undefined if there is no such folder. */
async function namesIn(folder: string): Promise<string[] | undefined> {
  return await readdir(folder).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  })
}

function nameExpression(pattern: string): RegExp {
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('(.*)')}$`)
}
