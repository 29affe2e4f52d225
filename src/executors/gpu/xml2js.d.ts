declare module 'xml2js' {
  export type Options = {
    readonly explicitArray?: boolean
    readonly trim?: boolean
    readonly strict?: boolean
    readonly normalizeTags?: boolean
  }
  export function parseStringPromise(xml: string, options?: Options): Promise<unknown>
}
