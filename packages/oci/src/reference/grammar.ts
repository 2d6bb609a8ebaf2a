/**
 * The grammar of image references, in named pieces:
 *
 *   reference := name [ ":" tag ] [ "@" digest ]
 *   name      := [ domain "/" ] path-component *( "/" path-component )      at most 255 characters without the domain
 *   domain    := host [ ":" port ]      host := DNS labels | "[" IPv6 "]"
 *   component := alnum *( separator alnum )      alnum := [a-z0-9]+      separator := "." | "_" | "__" | "-"+
 *   tag       := [A-Za-z0-9_] *127[A-Za-z0-9_.-]
 *   digest    := algorithm *( [+._-] algorithm ) ":" 32*hex
 */
const alphanumeric = '[a-z0-9]+';
const separator = '(?:[._]|__|-+)';
const component = `${alphanumeric}(?:${separator}${alphanumeric})*`;
const label = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const host = `(?:${label}(?:\\.${label})*|\\[(?:[a-fA-F0-9:]+)\\])`;
const domain = `${host}(?::[0-9]+)?`;
const tag = '[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}';
const digest = '[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}';
const name = `(?:${domain}/)?${component}(?:/${component})*`;

export const referencePattern = new RegExp(`^(${name})(?::(${tag}))?(?:@(${digest}))?$`);
export const namePattern = new RegExp(`^(?:(${domain})/)?(${component}(?:/${component})*)$`);
export const tagPattern = new RegExp(`^${tag}$`);
export const identifierPattern = /^[a-f0-9]{64}$/;
export const maxNameLength = 255;
/** No legal reference is longer; longer input is refused before any pattern sees it. */
export const maxReferenceLength = 4096;
