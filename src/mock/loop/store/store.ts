import { randomUUID } from 'node:crypto'
import { mkdir, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { hasCode, removeTree, safePathSegment } from '../../../base/index.js'
import { type Category, isLoopId } from '../../../loop/protocol/index.js'
import { RefusedError } from '../refused-error.js'
import { openProject, type Project } from './project.js'

/** All projects of a local Loop, kept in a folder. */
export type Store = {
  readonly projects: () => readonly Project[]
  /** Throws a refusal (404) when there is no such project. */
  project(organization: string, project: string): Project
  find(organization: string, project: string): Project | undefined
  create(organization: string, project: string, categories: readonly Category[]): Promise<Project>
  remove(organization: string, project: string, options: { readonly keepImages: boolean }): Promise<void>
  /** A fresh folder for something that is on its way in; on the same disk as the projects. */
  temporaryFolder(): Promise<string>
  drained(): Promise<void>
}

export async function openStore(folder: string): Promise<Store> {
  const projects = new Map<string, Project>()
  const folderOf = (organization: string, project: string) =>
    join(folder, 'projects', safePathSegment(organization), safePathSegment(project))
  await removeTree(join(folder, 'tmp'))
  for (const organization of await namesIn(join(folder, 'projects'))) {
    for (const name of await namesIn(join(folder, 'projects', organization))) {
      const project = await openProject(folderOf(organization, name))
      if (project !== undefined) projects.set(project.name, project)
    }
  }
  const temporaryFolder = async () => {
    const path = join(folder, 'tmp', randomUUID())
    await mkdir(path, { recursive: true })
    return path
  }
  return {
    projects: () => [...projects.values()],
    find: (organization, project) => projects.get(`${organization}/${project}`),
    project: (organization, project) => {
      const found = projects.get(`${organization}/${project}`)
      if (found === undefined) throw new RefusedError(404, `There is no project ${organization}/${project}.`)
      return found
    },
    create: async (organization, project, categories) => {
      if (!isLoopId(organization) || !isLoopId(project)) {
        throw new RefusedError(
          422,
          `${organization}/${project} cannot be a project: letters, digits, "_", "-", "." only.`,
        )
      }
      if (projects.has(`${organization}/${project}`)) {
        throw new RefusedError(409, `The project ${organization}/${project} exists already; delete it first.`)
      }
      const path = folderOf(organization, project)
      await mkdir(join(path, 'images'), { recursive: true })
      const record = {
        organization,
        project,
        created: new Date().toISOString(),
        categories: [...categories],
        models: [],
        trainings: [],
        target: null,
        novelty_scores: {},
      }
      const created = await openProject(path, record)
      if (created === undefined) throw new Error(`The project ${organization}/${project} was not written.`)
      projects.set(created.name, created)
      return created
    },
    remove: async (organization, project, { keepImages }) => {
      const found = projects.get(`${organization}/${project}`)
      if (found === undefined) throw new RefusedError(404, `There is no project ${organization}/${project}.`)
      projects.delete(found.name)
      await found.drained()
      const trash = await temporaryFolder()
      await rename(found.folder, join(trash, 'project'))
      if (keepImages) {
        await mkdir(found.folder, { recursive: true })
        await rename(join(trash, 'project', 'images'), join(found.folder, 'images'))
      }
      await removeTree(trash)
    },
    temporaryFolder,
    drained: async () => {
      await Promise.all([...projects.values()].map((project) => project.drained()))
    },
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return []
    throw error
  }
}
