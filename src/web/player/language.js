// The controls speak the page's language from their first word: media-chrome names them as they are upgraded, so this
// comes before it.
import 'media-chrome/dist/lang/zh-CN.js';
import { setLanguage } from 'media-chrome/dist/utils/i18n.js';

const pages = document.documentElement.lang;
setLanguage(pages.startsWith('zh') ? 'zh-CN' : pages);
