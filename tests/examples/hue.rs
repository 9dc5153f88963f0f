//! hue: a bridge in a home.

use support::certificates;
use support::program::{Program, compile_with, path};
use support::server::{EVENT_STREAM, Server};
use support::streams::directly;

/// A bridge is followed by its key, which the program says if it has none.
#[test]
fn hue_follows_a_bridge_by_its_key() {
    let hue = compile_with(&path("examples/hue.c"), &["-lcjson"]);
    let [bridge, impostor] = [(); 2].map(|()| {
        Server::secure(certificates::bridge(
            certificates::KINDS[0],
            certificates::VERSIONS[1],
        ))
    });
    let start = |server: &Server, key: Option<&str>| {
        let mut command = directly(&hue);
        command.arg(server.address().to_string()).arg("k3y").args(key);
        Program::start(command)
    };
    let mut program = start(&bridge, None);
    assert!(bridge.try_accept().is_err());
    let ended = program.end();
    assert_eq!(ended.status, Some(1), "{ended:?}");
    let (_, key) = ended.stderr.split_once("its key is ").expect("a key");
    let (key, _) = key.split_once(',').expect("its end");

    let mut program = start(&bridge, Some(key));
    let mut connection = bridge.accept();
    assert_eq!(connection.request.target, "/eventstream/clip/v2");
    let sent = connection.request.header("hue-application-key");
    assert_eq!(sent, Some("k3y"));
    connection.send(EVENT_STREAM);
    connection.send(
        ": hi\n\nid: 1:0\ndata: [{\"type\":\"update\",\"data\":[{\"id\":\"7\",\
         \"id_v1\":\"/lights/1\",\"on\":{\"on\":true},\"owner\":{},\
         \"type\":\"light\"},{\"id\":\"8\",\"type\":\"scene\"}]}]\n\n",
    );
    program.wait_for("update light 7: on={\"on\":true}");
    program.wait_for("update scene 8:");
    connection.send("data: [{\"data\":[{\"on\":nul\n\ndata: [1, {}]\n\n");
    connection.finish();
    bridge.accept().answer("204 No Content", "");
    let ended = program.end();
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("not understood: [{"), "{ended:?}");
    assert!(!ended.stderr.contains("k3y"), "{ended:?}");

    let program = start(&impostor, Some(key));
    assert!(impostor.try_accept().is_err(), "it has another key");
    drop(program);
    assert_eq!(Program::start(directly(&hue)).end().status, Some(2));
    let ended = start(&bridge, Some("key")).end();
    assert_eq!(ended.status, Some(2), "{ended:?}");
}
