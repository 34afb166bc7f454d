// What the tests do in Thunderbird's main window, as one object. Each function does what a user does there, or asks what the user sees; nothing waits for a
// time, only for what has to happen.
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const window_ = Services.wm.getMostRecentWindow("mail:3pane");
const Flag = Ci.nsMsgFolderFlags;

const pause = () => new Promise(resolve => window_.setTimeout(resolve, 20));

// until waits for a condition and returns its value.
async function until(what, condition, seconds = 60) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const value = await condition();
    if (value) {
      return value;
    }
    if (Date.now() > end) {
      throw new Error(`${what}: not within ${seconds} s`);
    }
    await pause();
  }
}

const pane = () => window_.document.getElementById("tabmail").currentAbout3Pane;
const server = user => MailServices.accounts.allServers.find(s => s.type == "imap" && s.username == user);
const imap = folder => folder.QueryInterface(Ci.nsIMsgImapMailFolder);

function below(folder) {
  return folder.subFolders.flatMap(f => [f, ...below(f)]);
}

// find gives the folder with a name on the server.
function find(user, name) {
  const folder = below(server(user).rootFolder).find(f => imap(f).onlineName == name);
  if (!folder) {
    throw new Error(`no folder ${name} of ${user}`);
  }
  return folder;
}

// known is the number of messages that Thunderbird has headers of; -1 before the folder has been opened for the first time.
function known(folder) {
  try {
    return folder.msgDatabase.dBFolderInfo.numMessages;
  } catch (e) {
    return -1;
  }
}

const messages = folder => Array.from(folder.msgDatabase.enumerateMessages());
const message = (folder, uid) => folder.msgDatabase.getMsgHdrForKey(uid);

// alerts collects what Thunderbird would show as an error, and keeps it from opening a window for it.
const alerts = [];
MailServices.mailSession.addUserFeedbackListener({
  QueryInterface: ChromeUtils.generateQI(["nsIMsgUserFeedbackListener"]),
  onAlert(text, url, silent) {
    alerts.push({ text, silent });
    return true;
  },
  onCertError() {},
});

async function show(folder) {
  const p = pane();
  if (p.gFolder?.URI != folder.URI) {
    p.displayFolder(folder.URI);
  }
  await until(`show ${folder.URI}`, () => p.gFolder?.URI == folder.URI && p.gDBView?.rowCount >= 0);
}

// ownLines are what Thunderbird's store puts in front of a message.
const ownLines = /^X-Mozilla-Status: .*\nX-Mozilla-Status2: .*\n(X-Mozilla-Keys: .*\n)?/;

// stored gives the bytes of a message as a string, or null when it is not in the profile.
function stored(uri) {
  return new Promise(resolve => {
    const parts = [];
    const input = Cc["@mozilla.org/binaryinputstream;1"].createInstance(Ci.nsIBinaryInputStream);
    const listener = {
      QueryInterface: ChromeUtils.generateQI(["nsIStreamListener"]),
      onStartRequest() {},
      onDataAvailable(request, stream, offset, count) {
        input.setInputStream(stream);
        parts.push(input.readBytes(count));
      },
      onStopRequest: (request, status) => resolve(Components.isSuccessCode(status) ? parts.join("").replace(ownLines, "") : null),
    };
    MailServices.messageServiceFromURI(uri).streamMessage(uri, listener, null, null, false, "", true);
  });
}

// rowName is the name of the folder in a row of the folder pane; "" for that of an account.
function rowName(row) {
  const folder = row && MailServices.folderLookup.getFolderForURL(row.uri);
  return !folder || folder.isServer ? "" : imap(folder).onlineName;
}

const special = ["Inbox", "SentMail", "Drafts", "Trash", "Junk", "Archive", "AllMail"];

window_.mailkeepTest = {
  // ready waits for the window and makes it as large as the screen.
  async ready(width, height) {
    await until("the main window", () => pane()?.folderPane && pane().document.readyState == "complete");
    window_.moveTo(0, 0);
    window_.resizeTo(width, height);
    pane().paneLayout.folderPaneVisible = true;
    pane().paneLayout.messagePaneVisible = true;
    return Services.appinfo.version;
  },

  // login gives the password manager the password of an account, as the user does in the prompt.
  async login(host, user, password) {
    const url = "imap://" + host;
    const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
    login.init(url, null, url, user, password, "", "");
    await Services.logins.initializationPromise;
    await Services.logins.addLoginAsync(login);
  },

  // expand opens an account in the folder pane, upon which its folders are asked for, and waits until some are there.
  async expand(user, names) {
    const s = server(user);
    s.performExpand(window_.msgWindow);
    s.getNewMessages(s.rootFolder, window_.msgWindow, null);
    const missing = () => {
      const there = new Set(below(s.rootFolder).map(f => imap(f).onlineName));
      return names.filter(name => !there.has(name));
    };
    await until(`folders of ${user}`, () => !missing().length).catch(error => {
      throw new Error(`${error.message}: ${missing()}`);
    });
    pane().folderTree.expandRow(pane().folderPane.getRowForFolder(s.rootFolder));
  },

  // readOnly waits until Thunderbird takes every folder for read-only: it asks for the rights one by one.
  async readOnly(user) {
    const writable = () => below(server(user).rootFolder).filter(f => !f.noSelect && (f.canDeleteMessages || f.canFileMessages));
    await until("every folder read-only", () => !writable().length).catch(error => {
      throw new Error(`${error.message}: ${writable().map(f => imap(f).onlineName)}`);
    });
  },

  folders(user) {
    return below(server(user).rootFolder).map(f => ({
      name: imap(f).onlineName,
      shown: f.localizedName,
      parent: f.parent.isServer ? "" : imap(f.parent).onlineName,
      under: rowName(pane().folderPane.getRowForFolder(f)?.parentElement.closest("li")),
      special: special.filter(s => f.getFlag(Flag[s])),
      noSelect: f.noSelect,
      total: f.getTotalMessages(false),
      unread: f.getNumUnread(false),
      canDelete: f.canDeleteMessages,
      canFile: f.canFileMessages,
      canCreate: f.canCreateSubfolders,
      canRename: f.canRename,
      deletable: f.deletable,
    }));
  },

  // update asks the server what is new in a folder, as when it is clicked on, without showing it, and waits until there are as many messages as expected. (The
  // end of the asking is no help: when a folder is being updated already, nothing tells of it.)
  async update(user, name, count) {
    const folder = find(user, name);
    folder.updateFolder(window_.msgWindow);
    await until(`${count} messages in ${name}`, () => known(folder) == count, 240);
  },

  async show(user, name) {
    await show(find(user, name));
  },

  // headers lists the messages of a folder as Thunderbird knows them, in columns.
  headers(user, name) {
    const all = messages(find(user, name)).sort((a, b) => a.messageKey - b.messageKey);
    return {
      uid: all.map(h => h.messageKey),
      size: all.map(h => h.messageSize),
      id: all.map(h => h.messageId),
      subject: all.map(h => (h.flags & Ci.nsMsgMessageFlags.HasRe ? "Re: " : "") + h.mime2DecodedSubject),
      read: all.map(h => h.isRead),
      starred: all.map(h => h.isFlagged),
      offline: all.map(h => !!(h.flags & Ci.nsMsgMessageFlags.Offline)),
    };
  },

  // open selects a message, and tells what the message pane then shows.
  async open(user, name, uid) {
    const folder = find(user, name);
    await show(folder);
    const p = pane();
    const header = message(folder, uid);
    const uri = folder.getUriForMsg(header);
    await until(`message ${uid} in the list of ${name}`, () => p.gDBView.findIndexOfMsgHdr(header, true) != 0xffffffff);
    p.selectMessage(header);
    const text = await until(`message ${uid} of ${name}`, () => {
      const browser = p.messageBrowser?.contentWindow?.getMessagePaneBrowser?.();
      const view = p.messageBrowser?.contentWindow;
      if (!browser || view.gMessageURI != uri || !view.msgLoaded || browser.contentDocument?.readyState != "complete" ||
          browser.currentURI.spec == "about:blank") {
        return null;
      }
      return { text: browser.contentDocument.body.innerText };
    });
    const view = p.messageBrowser.contentWindow;
    return {
      ...text,
      subject: view.document.getElementById("expandedsubjectBox").headerValue ?? view.document.getElementById("expandedsubjectBox").textContent,
      attachments: view.currentAttachments.map(a => a.name),
    };
  },

  // search asks the server for the messages of a folder that contain a text, as the search window does.
  async search(user, name, where, text) {
    const session = Cc["@mozilla.org/messenger/searchSession;1"].createInstance(Ci.nsIMsgSearchSession);
    session.addScopeTerm(Ci.nsMsgSearchScope.onlineMail, find(user, name));
    const term = session.createTerm();
    const value = term.value;
    term.attrib = value.attrib = Ci.nsMsgSearchAttrib[where];
    value.str = text;
    term.value = value;
    term.op = Ci.nsMsgSearchOp.Contains;
    term.booleanAnd = true;
    session.appendTerm(term);
    const found = [];
    await new Promise((resolve, reject) => {
      session.registerListener({
        QueryInterface: ChromeUtils.generateQI(["nsIMsgSearchNotify"]),
        onSearchHit: header => found.push(header.messageKey),
        onSearchDone: status => (Components.isSuccessCode(status) ? resolve() : reject(new Error(`search: ${status}`))),
        onNewSearch() {},
      });
      session.search(window_.msgWindow);
    });
    return found.sort((a, b) => a - b);
  },

  // drop lets go of messages over a folder, as at the end of a drag with the mouse, and tells what Thunderbird makes of it: "none" when it does not take them.
  // With wait it waits until they have arrived.
  async drop(user, name, uids, toUser, to, wait) {
    const from = find(user, name);
    const target = find(toUser, to);
    await show(from);
    const uris = uids.map(uid => from.getUriForMsg(message(from, uid)));
    const transfer = {
      dropEffect: "move", // a drag without a key held down
      mozItemCount: uris.length,
      mozTypesAt: () => ["text/x-moz-message"],
      mozGetDataAt: (type, i) => uris[i],
    };
    const event = {
      target: pane().folderPane.getRowForFolder(target),
      dataTransfer: transfer,
      clientX: 0,
      clientY: 0,
      preventDefault() {},
      stopPropagation() {},
      getModifierState: () => false,
    };
    pane().folderPane._onDragOver(event);
    if (transfer.dropEffect == "none") {
      return "none";
    }
    const ended = new Promise(resolve => {
      const listener = {
        msgsMoveCopyCompleted(move) {
          MailServices.mfn.removeListener(listener);
          resolve(move ? "move" : "copy");
        },
      };
      MailServices.mfn.addListener(listener, MailServices.mfn.msgsMoveCopyCompleted);
    });
    await pane().folderPane._onDrop(event);
    return ended;
  },

  // commands tells which commands are enabled while a message is selected: false is a greyed menu entry or button.
  commands(names) {
    const enabled = Object.fromEntries(names.map(name => [name, !!pane().commandController.isCommandEnabled(name)]));
    pane().folderPaneContextMenu._commandStates = null;
    for (const name of ["cmd_newFolder", "cmd_deleteFolder", "cmd_renameFolder"]) {
      enabled[name] = !!pane().folderPaneContextMenu.getCommandState(name);
    }
    return enabled;
  },

  // command gives a command for what is selected, as a menu entry or a key does.
  command(name) {
    pane().commandController.doCommand(name);
  },

  // refresh asks the server for a folder's flags until a message is shown as expected.
  async refresh(user, name, uid, read, starred) {
    const folder = find(user, name);
    let asked = 0;
    await until(`message ${uid} of ${name} ${read ? "read" : "unread"} and ${starred ? "" : "not "}starred`, () => {
      if (Date.now() - asked > 2000) {
        folder.updateFolder(window_.msgWindow); // not heard while another update is under way
        asked = Date.now();
      }
      const header = folder.msgDatabase.containsKey(uid) && message(folder, uid);
      return header && header.isRead == read && header.isFlagged == starred && !(header.flags & Ci.nsMsgMessageFlags.IMAPDeleted);
    });
  },

  // createFolder goes past the greyed command and asks the server for a new folder; it waits for the answer's text.
  async createFolder(user, name) {
    const n = alerts.length;
    server(user).rootFolder.createSubfolder(name, window_.msgWindow);
    await until("an answer to the new folder", () => alerts.length > n);
  },

  // renameFolder does the same for a new name.
  async renameFolder(user, name, to) {
    const n = alerts.length;
    find(user, name).rename(to, window_.msgWindow);
    await until("an answer to the new name", () => alerts.length > n);
  },

  // deleteMessage does the same for a message.
  async deleteMessage(user, name, uid) {
    const n = alerts.length;
    const folder = find(user, name);
    folder.deleteMessages([message(folder, uid)], window_.msgWindow, false, false, null, true);
    await until("an answer to the deletion", () => alerts.length > n);
  },

  // alerts gives what Thunderbird would have shown as errors since the last call.
  alerts() {
    return alerts.splice(0);
  },

  // download waits until every message of a folder is in the profile. Thunderbird fetches them by itself, unless now says that it shall be told to, as by
  // "download now" in the folder's properties.
  async download(user, name, now) {
    const folder = find(user, name);
    const missing = () => messages(folder).filter(h => !folder.hasMsgOffline(h.messageKey)).map(h => h.messageKey);
    if (now && missing().length) {
      folder.downloadAllForOffline(null, window_.msgWindow);
    }
    await until(`all messages of ${name}`, () => !missing().length, 120).catch(error => {
      throw new Error(`${error.message}: ${missing()}`);
    });
  },

  // offline cuts the connections, or takes them up again.
  offline(on) {
    Services.io.offline = on;
  },

  // lookUp asks the domain of an address how mail for it is read, as the window for a new account does.
  async lookUp(address) {
    const { FetchConfig } = ChromeUtils.importESModule("resource:///modules/accountcreation/FetchConfig.sys.mjs");
    const config = await FetchConfig.fromISP(address.split("@")[1], address, new AbortController().signal);
    const { hostname, port, socketType, auth, username, type } = config.incoming;
    return { hostname, port, socketType, auth, username, type, sender: config.outgoing?.hostname ?? "", name: config.displayName };
  },

  // stored gives the bytes of a message that is in the profile, in base64.
  async stored(user, name, uid) {
    const folder = find(user, name);
    return btoa(await stored(folder.getUriForMsg(message(folder, uid))));
  },

  // sums gives the SHA-256 of every message that is in the profile, by UID.
  async sums(user, name) {
    const folder = find(user, name);
    const out = {};
    for (const header of messages(folder)) {
      const text = await stored(folder.getUriForMsg(header));
      if (text !== null) {
        const bytes = Uint8Array.from(text, c => c.charCodeAt(0));
        const hash = Cc["@mozilla.org/security/hash;1"].createInstance(Ci.nsICryptoHash);
        hash.init(Ci.nsICryptoHash.SHA256);
        hash.update(bytes, bytes.length);
        out[header.messageKey] = hash.finish(true);
      }
    }
    return out;
  },
};
