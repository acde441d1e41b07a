//! Many small documents at once: what that takes for each does not grow with their number.

use std::{cell::RefCell, rc::Rc};

use corella::{
    DocHandle, Repo, RepoConfig,
    protocol::PeerType,
    runtime::{Adapter, RepoEvent},
    synchronizer::{ChannelKind, Interest},
};

use crate::{
    disk::{Disk, Drive},
    network::Link,
    world::World,
};

fn repo(world: &World, interest: Interest, adapters: Vec<Rc<dyn Adapter>>) -> Repo {
    let peer_type = if interest == Interest::Everything { PeerType::Service } else { PeerType::User };
    Repo::new(world.env(), RepoConfig { interest, adapters, peer_type, ..RepoConfig::default() })
}

/// What it took on the way from a disk to the hub, and from there to somebody who opens what he hears of.
struct Cost {
    batches: [u64; 2],
    messages: [u64; 2],
    loads: u64,
    writes: u64,
}

fn brought_through_a_hub(documents: usize) -> Cost {
    let mut world = World::new(documents as u64);
    let (disk, hub_disk) = (Disk::new(), Disk::new());
    let name = |number: usize| format!("d{number:05}");
    let maker = repo(&world, Interest::Opened, vec![Drive::new(&disk, world.env(), 2, 1)]);
    for number in 0..documents {
        let handle = maker.get(&name(number)).unwrap();
        handle.change(|doc| doc.get_text("text").insert(0, &number.to_string()).unwrap(), None, None).unwrap();
        handle.close();
    }
    world.wait(maker.close(), 60_000).unwrap().unwrap();
    let (loads, writes) = (disk.loads.get(), disk.writes.get());

    let links = [(); 2].map(|()| Link::new(world.env(), ChannelKind::Network, 5));
    let [sends, receives] = &links;
    let _hub = repo(&world, Interest::Everything, vec![Drive::new(&hub_disk, world.env(), 2, 1), sends.end(1), receives.end(1)]);
    let sender = repo(&world, Interest::Opened, vec![Drive::new(&disk, world.env(), 2, 1), sends.end(0)]);
    let receiver = Rc::new(repo(&world, Interest::Opened, vec![receives.end(0)]));
    let handles: Rc<RefCell<Vec<DocHandle>>> = Rc::default();
    let (opened, weak) = (Rc::clone(&handles), Rc::downgrade(&receiver));
    receiver
        .on_event(move |event| {
            if let (RepoEvent::DocumentAdded { doc }, Some(receiver)) = (event, weak.upgrade()) {
                opened.borrow_mut().push(receiver.get(doc.as_str()).unwrap());
            }
        })
        .detach();
    links.iter().for_each(|link| link.connect());
    for _ in 0..10 {
        world.run(2_000);
        // Asked again, nothing is told twice.
        receiver.discover();
    }
    let mut texts: Vec<_> = handles.borrow().iter().map(|handle| handle.doc().get_text("text").to_string()).collect();
    texts.sort_by_key(|text| text.parse::<usize>().unwrap_or(usize::MAX));
    assert_eq!(texts, (0..documents).map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(hub_disk.contents(&name(documents - 1)).get_text("text").to_string(), (documents - 1).to_string());
    assert_eq!((sender.unsynced(), receiver.unsynced()), (0, 0));
    Cost {
        batches: [sends, receives].map(|link| link.batches.get()),
        messages: [sends, receives].map(|link| link.messages.get()),
        loads: disk.loads.get() - loads,
        writes: disk.writes.get() - writes,
    }
}

#[test]
fn ten_times_as_many_documents_take_ten_times_as_much_and_travel_together() {
    for (documents, batches) in [(150, 60), (1_500, 220)] {
        let cost = brought_through_a_hub(documents);
        let each = cost.messages.map(|messages| messages as f64 / documents as f64);
        assert!(each[0] <= 4.5 && each[1] <= 6.5, "{each:?} messages for each of {documents} documents");
        assert!(cost.batches.iter().all(|sent| *sent <= batches), "{:?} batches for {documents} documents", cost.batches);
        assert_eq!((cost.loads, cost.writes), (documents as u64, 0), "each is read once, and not written");
    }
}
